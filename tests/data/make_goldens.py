#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes bpe_golden.txt: what the trainer of Hugging Face's library `tokenizers` makes of corpus.txt, and how the tokenizer that it
gives encodes it.

  pip install tokenizers==0.22.1
  tests/data/make_goldens.py

corpus.txt: the first chapters of Moby Dick (public domain), and lines in which GPT-2's rule has something to decide.
"""
import os

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL, TOKENS = ["<|endoftext|>", "<pad>"], 900


def fnv(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = (h ^ b) * 0x100000001b3 & (1 << 64) - 1
    return f"{h:016x}"


def main():
    with open(os.path.join(HERE, "corpus.txt"), encoding="utf-8", newline="") as f:
        text = f.read()
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator([text], trainers.BpeTrainer(vocab_size=TOKENS, special_tokens=SPECIAL, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    vocabulary = sorted(t.get_vocab().items(), key=lambda v: v[1])
    assert [v[1] for v in vocabulary] == list(range(len(vocabulary)))
    ids = t.encode(text).ids
    with open(os.path.join(HERE, "bpe_golden.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.write(f"{len(ids)} {fnv(b''.join(i.to_bytes(4, 'little') for i in ids))}\n")
        f.writelines(piece + "\n" for piece, _ in vocabulary)


if __name__ == "__main__":
    main()
