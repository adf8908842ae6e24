#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer that is trained and saved, as Hugging Face's library `tokenizers` reads it: the ids of both are equal, and so is what
their trainers make of a text.  tokenizers_test.py LIBTERN"""
import ctypes
import json
import os
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
try:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    print("SKIPPED: no package tokenizers in this Python")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<|endoftext|>", "<pad>", "two words\n\"\\"]
MIXED = "naïve 中文 😀 don't YOU'RE\n\n\t x²  <b>12,345.67</b>  \r\n<|endoftext|> <pad>x two words\n\"\\ end\x00\x1f\u2028 "


class TrainOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("num_special", ctypes.c_int32), ("special", ctypes.POINTER(ctypes.c_char_p)), ("min_count", ctypes.c_int64)]


def main():
    tern = ctypes.CDLL(sys.argv[1])
    tern.tern_last_error_message.restype = ctypes.c_char_p

    def call(name, *arguments):
        if getattr(tern, name)(*arguments) != 0:
            sys.exit(f"{name}: {tern.tern_last_error_message().decode()}")

    corpus = os.path.join(HERE, "corpus.txt")
    with open(corpus, encoding="utf-8", newline="") as f:
        text = f.read()
    names = (ctypes.c_char_p * len(SPECIAL))(*(s.encode() for s in SPECIAL))
    for size, least in ((259, 0), (600, 0), (1500, 3), (20000, 2)):
        options = TrainOptions(ctypes.sizeof(TrainOptions), len(SPECIAL), names, least)
        tokenizer = ctypes.c_void_p()
        call("tern_tokenizer_train_files", (ctypes.c_char_p * 1)(corpus.encode()), 1, size, ctypes.byref(options), ctypes.byref(tokenizer))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokenizer.json")
            call("tern_tokenizer_save", tokenizer, path.encode())
            loaded = Tokenizer.from_file(path)
            with open(path, encoding="utf-8") as f:
                ours = json.load(f)["model"]
        theirs = Tokenizer(models.BPE())
        theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        theirs.train_from_iterator([text], trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, min_frequency=least, show_progress=False,
                                                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        model = json.loads(theirs.to_str())["model"]
        merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
        if model["vocab"] != ours["vocab"] or merges != ours["merges"]:
            sys.exit(f"{size} tokens: the vocabulary or the merges differ from those of the other trainer")
        for sample in (text, MIXED):
            data = sample.encode()
            ids, count = (ctypes.c_int32 * (len(data) + 1))(), ctypes.c_size_t()
            call("tern_tokenizer_encode", tokenizer, data, ctypes.c_size_t(len(data)), 2, ids, ctypes.c_size_t(len(data)), ctypes.byref(count))
            found, want = ids[:count.value], loaded.encode(sample).ids
            if found != want:
                at = next((i for i, (a, b) in enumerate(zip(found, want)) if a != b), min(len(found), len(want)))
                sys.exit(f"{size} tokens: {len(found)} and {len(want)} ids, different from {at} on: {found[at:at + 5]} and {want[at:at + 5]}")
            if loaded.decode(want, skip_special_tokens=False) != sample:
                sys.exit(f"{size} tokens: the text does not come back")
        print(f"{len(ours['vocab'])} tokens, {len(merges)} merges: equal")
        tern.tern_tokenizer_release(tokenizer)


if __name__ == "__main__":
    main()
