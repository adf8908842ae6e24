# SPDX-License-Identifier: Apache-2.0
"""What llama.cpp gives for a real language model.  llama_cpp_goldens.py FOLDER [--model GGUF] [--text FILE] [--out golden/language]

FOLDER has libllama (see llama_cpp.py); the model is smollm2-135m-instruct.gguf of samples/fetch; needs gguf and numpy. llama.cpp
rounds what products with quantised weights read to 8 bits, so the weights are given to it as f32, dequantised by gguf's own code:
then its results are those of the weights alone. Each text of golden/language/llama_cpp_prompts.txt, which lines of %% part, is given
to it, and it goes on greedily for 32 tokens. llama_cpp.json holds, for each text:

  prompt  the tokens of the text
  given   the tokens that followed, each the one with the largest logit
  top     for each of these, 20 tokens with the largest logits before it and the natural logarithms of their probabilities:
          token, logarithm, token, logarithm, ...

llama_cpp_perplexity.json: how well it foretells the first 100 kB of Moby Dick (samples/fetch texts), counted as llama-perplexity
does: chunks of 512 tokens, of which the second half is scored. Keys and values are f16, as they are by default. 5 to 10 minutes.

It prints, too, how far llama.cpp is from that with the file as it is: the mean divergence over the 20 tokens and the rest as one.
"""
import argparse
import json
import os
import tempfile

import gguf
import numpy as np

from llama_cpp import Llama

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS, TOP, CHUNK = 32, 20, 512


def dequantise(source, target):
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", "general.file_type", "general.quantization_version"):
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, numbers.reshape([int(n) for n in reversed(tensor.shape)]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def log_softmax(logits):
    x = logits.astype(np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def perplexity(llama, text):
    tokens, scores = llama.tokens(text, special=False), []
    for at in range(0, len(tokens) - CHUNK + 1, CHUNK):
        chunk = tokens[at:at + CHUNK]
        llama.clear()
        for logits, token in zip(llama.feed(chunk, CHUNK // 2), chunk[CHUNK // 2 + 1:]):
            scores.append(-log_softmax(logits)[token])
    return {"bytes": len(text.encode()), "context": CHUNK, "tokens": len(scores), "perplexity": round(float(np.exp(np.mean(scores))), 5)}


def divergence(top, logarithms):
    """Of the golden tokens and the rest as one."""
    ids, p = top[::2], np.exp(top[1::2])
    q = logarithms[ids]
    rest = max(1 - p.sum(), 1e-12)
    return (p * (np.log(p) - q)).sum() + rest * np.log(rest / max(1 - np.exp(q).sum(), 1e-12))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern"))
    parser.add_argument("folder")
    parser.add_argument("--model", default=os.path.join(cache, "models/smollm2-135m-instruct.gguf"))
    parser.add_argument("--text", default=os.path.join(cache, "texts/moby_dick.txt"))
    parser.add_argument("--out", default=os.path.join(HERE, "golden/language"))
    args = parser.parse_args()
    with open(os.path.join(HERE, "golden/language/llama_cpp_prompts.txt"), encoding="utf-8") as f:
        prompts = f.read().removesuffix("\n").split("\n%%\n")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f32.gguf")
        dequantise(args.model, path)
        llama = Llama(args.folder, path)
    print(llama.processor())
    cases = []
    for text in prompts:
        case = {"prompt": llama.tokens(text), "given": [], "top": []}
        llama.clear()
        logits = llama.feed(case["prompt"])[0]
        for _ in range(TOKENS):
            logarithms = log_softmax(logits)
            order = np.argsort(-logarithms, kind="stable")[:TOP]
            case["given"].append(int(order[0]))
            case["top"].append([n for i in order for n in (int(i), round(float(logarithms[i]), 6))])
            logits = llama.feed(case["given"][-1:])[0]
        cases.append(case)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    with open(os.path.join(args.out, "llama_cpp.json"), "w") as f:
        f.write(f'{{"cases":[\n{lines}\n]}}\n')
    with open(args.text, encoding="utf-8") as f:
        found = perplexity(llama, f.read())
    with open(os.path.join(args.out, "llama_cpp_perplexity.json"), "w") as f:
        json.dump(found, f)
        f.write("\n")
    print(len(cases), "texts;", found)
    llama = Llama(args.folder, args.model)
    found, others = [], 0
    for case in cases:
        llama.clear()
        logits = llama.feed(case["prompt"])[0]
        for token, top in zip(case["given"], case["top"]):
            found.append(divergence(top, log_softmax(logits)))
            others += int(logits.argmax()) != token
            logits = llama.feed([token])[0]
    print(f"the file as it is: divergence {np.mean(found):.2e}, at most {np.max(found):.2e}; {others} of {len(found)} tokens are others")


if __name__ == "__main__":
    main()
