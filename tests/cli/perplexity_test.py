#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The perplexity of a real model on 100 kB of text against llama.cpp's (tests/models/llama_cpp_goldens.py), both with the same weights
in f32.  perplexity_test.py TERN SOURCE"""
import json
import os
import subprocess
import sys
import tempfile


def main():
    tern, source = sys.argv[1:]
    cache = os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern"))
    model, text = os.path.join(cache, "models/smollm2-135m-instruct.gguf"), os.path.join(cache, "texts/moby_dick.txt")
    for file in (model, text):
        if not os.path.exists(file):
            print(f"SKIPPED: perplexity: {file} is not there; samples/fetch brings it")
            return 0
    with open(os.path.join(source, "tests/models/golden/language/llama_cpp_perplexity.json"), encoding="utf-8") as f:
        want = json.load(f)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "m.tern")
        subprocess.run([tern, "import", model, "-o", file, "--weights", "f32"], check=True, stdout=subprocess.DEVNULL)
        out = subprocess.run([tern, "perplexity", file, text, "--context", str(want["context"]), "--threads", "2", "--json"], check=True,
                             stdout=subprocess.PIPE).stdout
    got = json.loads(out)
    difference = got["perplexity"] / want["perplexity"] - 1
    print(f"{got['perplexity']:.5f} for {got['tokens']} tokens, llama.cpp {want['perplexity']:.5f}: {difference:.1e}; "
          f"{got['tokens_per_second']:.0f} tokens a second")
    assert os.path.getsize(text) == want["bytes"] and got["tokens"] == want["tokens"], (got, want)
    assert abs(difference) < 2e-4, difference
    return 0


sys.exit(main())
