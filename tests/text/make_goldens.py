#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes goldens.txt: what the library `tokenizers` of Hugging Face makes of texts, for many kinds of tokenizer.json.

  pip install tokenizers==0.23.3
  make_goldens.py [MODELS] [--show CASE TEXT]   writes goldens.txt; MODELS is a goldens.txt whose models are used again

The models are trained here and tiny; equal counts make their training differ from run to run. For each text the file has how many ids it gives, and a hash (FNV-1a) of four things one
after the other: the 32-bit ids; those without special tokens, neither around nor within the text; the bytes that the first ones
give, with and without special tokens. --show prints them for one text.
"""
import argparse
import base64
import json
import os
import struct
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = [
    "", " ", "a", "Hello, world!", "  two  spaces   three ", "tabs\tand\nlines\r\n\r\n  \n end\n", "\n\n\n", "x\n\n\n\ny  \n z",
    "don't I'll we've she'd YOU'RE It'S they'll 'tis o'clock 'ſ 's's", "1 12 123 1234567 3.14 1,000 ½ ² Ⅷ ١٢٣ १२३",
    "CamelCaseWord HTTPServer iPhone McDonald's ÀÉÎ ǅ ªº", "for (int i = 0; i < n; ++i) { a[i] += b[i] / 2; } // x_y",
    "f(x)=>{return `${x}`}/path/to//file\\n?q=1&b=2#frag\n/next", "naïve café Å ﬁ ﬂ ℃ ½ ① ｆｕｌｌ", "e\u0301a\u0328\u0301 o\u0323\u0302 \u0344 q\u0307\u0323",
    "\u1100\u1161\u11a8 각 \ud55c\uad6d\uc5b4 텍스트", "中文句子，没有空格。混合english和123数字！", "日本語のテキスト、カタカナとひらがなＡＢＣ", "السلام عليكم، كتابٌ جميلٌ",
    "שָׁלוֹם עוֹלָם", "नमस्ते दुनिया क्षत्रिय", "สวัสดีชาวโลก", "Привет, мир! Ёлка ἀρχή ΣΑΣ ς", "İstanbul ıI ẞß", "😀👍🏽👩‍👩‍👧‍👦🇩🇪 ❤️🔥🔥",
    "\u00a0nbsp\u3000wide\u2003em\u200bzero\u200dx\ufeffbom\u00ad", "<s>Hi</s> <s> [MASK] <mask>  x<mask>y <|end|><|end|> word words <unk>",
    "▁▁under ▁ bar_", "…—“quotes” «a» ¿qué? ¡no!", "a" * 100, "ab" * 60 + " " * 40 + "ba" * 30, "the the the tokenizer tokenizers retokenized", "\u0000\u0001\u007f\u0085x",
    "$100 €20 ¥3 + = ~ ^ | ` @ # %", "\U00020000\U0001d400\U0001f600", "x " * 20, "word\u0301s a\u0301b A\u0301A é\u0301é\r\n", "#!$ a.b,c;d:e", "multi\u2028line\u2029sep\x0bv\x0cf",
]
CORPUS = TEXTS + ["the quick brown fox jumps over the lazy dog. tokenizers make tokens of texts, and texts of tokens again."] * 20 + \
    ["中文句子 没有空格 混合 数字", "السلام عليكم", "привет мир"] * 6


def fnv(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = (h ^ b) * 0x100000001b3 & (1 << 64) - 1
    return f"{h:016x}"


def trained(model, trainer, pre, normalizer=None, corpus=CORPUS):
    t = Tokenizer(model)
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus, trainer)
    return json.loads(t.to_str())["model"]


def make_models():
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    m = {"bytes": trained(models.BPE(), trainers.BpeTrainer(vocab_size=350, initial_alphabet=alphabet, show_progress=False), byte_level)}
    m["suffix"] = trained(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"),
                          trainers.BpeTrainer(vocab_size=560, initial_alphabet=alphabet, end_of_word_suffix="</w>", special_tokens=["<unk>"], show_progress=False),
                          byte_level, normalizers.Lowercase())
    m["ends"] = trained(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"),
                        trainers.BpeTrainer(vocab_size=200, limit_alphabet=50, end_of_word_suffix="</w>", special_tokens=["<unk>"], show_progress=False),
                        pre_tokenizers.WhitespaceSplit())
    fallback = [f"<0x{b:02X}>" for b in range(256)]
    space = normalizers.Replace(" ", "▁")
    m["chars"] = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
                         trainers.BpeTrainer(vocab_size=480, special_tokens=["<unk>", "<s>", "</s>"] + fallback, limit_alphabet=90, show_progress=False),
                         pre_tokenizers.Split("zzzz", "isolated"), space)
    m["unk"] = {**trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=160, special_tokens=["<unk>"], limit_alphabet=60, show_progress=False),
                          pre_tokenizers.Metaspace()), "fuse_unk": False}
    m["prefix"] = trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"),
                          trainers.BpeTrainer(vocab_size=220, special_tokens=["<unk>"], limit_alphabet=60, continuing_subword_prefix="##", show_progress=False),
                          pre_tokenizers.Whitespace())
    m["unigram"] = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=220, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False),
                           pre_tokenizers.Metaspace(), corpus=[t for t in CORPUS if all(c < "\u0250" for c in t)])
    v = m["unigram"]["vocab"]
    m["unigram_bytes"] = {**m["unigram"], "byte_fallback": True, "vocab": v + [[f, -20.0] for f in fallback]}
    m["pieces"] = trained(models.WordPiece(unk_token="[UNK]"),
                          trainers.WordPieceTrainer(vocab_size=260, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], limit_alphabet=80, show_progress=False),
                          pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())
    return m


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = r'''[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'''
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
GPT2 = {**BYTES, "use_regex": True}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def pre(*steps):
    return sequence("pretokenizers", *steps)


def norm(*steps):
    return sequence("normalizers", *steps)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def replace(a, b, kind="String"):
    return {"type": "Replace", "pattern": {kind: a}, "content": b}


def metaspace(scheme, split=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


def template(before, after):
    token = lambda t: {"SpecialToken": {"id": t[0], "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [*map(token, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(token, after)],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t[0]: {"id": t[0], "ids": [t[1]], "tokens": [t[0]]} for t in before + after}}


def token(id, text, **flags):
    return {"id": id, "content": text, **{k: flags.get(k, False) for k in ("single_word", "lstrip", "rstrip", "normalized", "special")}}


SPM_DECODER = sequence("decoders", replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})


def make_cases(m):
    n = len(m["bytes"]["vocab"])
    special = [token(n, "<|end|>", special=True), token(n + 1, "<mask>", special=True, lstrip=True), token(n + 2, "word", single_word=True, normalized=True),
               token(n + 3, "[MASK]", rstrip=True), token(n + 4, "\n\n"), token(n + 5, "\n\n\n\n")]
    unk = lambda name: [token(0, "<unk>", special=True)]
    chars = dict(m["chars"]["vocab"])
    for t in ("«a»", "▁▁"):
        chars.setdefault(t, len(chars))
    spm = [token(0, "<unk>", special=True), token(1, "<s>", special=True), token(2, "</s>", special=True), *(token(chars[t], t, normalized=t[0] == "▁") for t in ("«a»", "▁▁"))]
    bert = [token(i, t, special=True) for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])]
    byte = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    c = {
        "gpt2": dict(model="bytes", pre_tokenizer=GPT2, decoder=byte),
        "gpt2 prefix": dict(model="bytes", pre_tokenizer={**GPT2, "add_prefix_space": True}, decoder=byte, added_tokens=special,
                            post_processor={"type": "RobertaProcessing", "sep": ["<|end|>", n], "cls": ["<mask>", n + 1], "trim_offsets": True, "add_prefix_space": True}),
        "llama3": dict(model="bytes", change=('"ignore_merges":false', '"ignore_merges":true'), pre_tokenizer=pre(split(LLAMA3), BYTES), decoder=byte, added_tokens=special, post_processor=template([("<|end|>", n)], [])),
        "qwen": dict(model="bytes", normalizer={"type": "NFC"}, pre_tokenizer=pre(split(LLAMA3.replace("{1,3}", "")), BYTES), decoder=byte, added_tokens=special),
        "numbers": dict(model="bytes", pre_tokenizer=pre(split(LLAMA3.replace("{1,3}", "+")), BYTES), decoder=byte),
        "o200k": dict(model="bytes", pre_tokenizer=pre(split(O200K, "Removed", True), BYTES), decoder=byte),
        "tekken": dict(model="bytes", pre_tokenizer=pre(split(O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")), BYTES), decoder=byte),
        "deepseek": dict(model="bytes", pre_tokenizer=pre(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK), BYTES), decoder=byte),
        "smollm": dict(model="bytes", pre_tokenizer=pre({"type": "Digits", "individual_digits": True}, GPT2), decoder=byte),
        "clip": dict(model="suffix", normalizer=norm({"type": "NFC"}, replace(r"\s+", " ", "Regex"), {"type": "Lowercase"}), decoder=byte,
                     pre_tokenizer=pre(split(CLIP, "Removed", True), {**GPT2})),
        "word ends": dict(model="ends", normalizer=norm({"type": "NFKC"}, {"type": "Lowercase"}), pre_tokenizer={"type": "WhitespaceSplit"},
                          decoder={"type": "BPEDecoder", "suffix": "</w>"}),
        "llama2": dict(model="chars", normalizer=norm({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")), decoder=SPM_DECODER, added_tokens=[{**t, "normalized": False} for t in spm],
                       post_processor=template([("<s>", 1)], [("</s>", 2)])),
        "gemma": dict(model="chars", normalizer=replace(" ", "▁"), pre_tokenizer=split(" ", "MergedWithPrevious", kind="String"), added_tokens=spm,
                      decoder=sequence("decoders", replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"})),
        "chars split": dict(model="chars", pre_tokenizer=metaspace("first"), decoder=metaspace("first"), added_tokens=spm),
        "unk": dict(model="unk", pre_tokenizer=metaspace("always"), decoder=metaspace("always"), added_tokens=unk("unk")),
        "fused": dict(model="unk", change=('"fuse_unk":false', '"fuse_unk":true'), pre_tokenizer=metaspace("never", False), decoder=metaspace("never"), added_tokens=unk("unk")),
        "subword": dict(model="prefix", pre_tokenizer={"type": "Whitespace"}, decoder=None, added_tokens=unk("prefix")),
        "unigram": dict(model="unigram", normalizer=norm({"type": "NFKC"}, replace(" {2,}", " ", "Regex"), {"type": "Strip", "strip_left": True, "strip_right": True}),
                        pre_tokenizer=metaspace("always"), decoder=metaspace("always")),
        "charsmap": dict(model="unigram", normalizer=norm(charsmap(), replace(" {2,}", "▁", "Regex")), pre_tokenizer=metaspace("always"), decoder=metaspace("always")),
        "unigram bytes": dict(model="unigram_bytes", pre_tokenizer=metaspace("first"),
                              decoder=sequence("decoders", {"type": "ByteFallback"}, metaspace("first"))),
        "bert": dict(model="pieces", normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
                     pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}, added_tokens=bert,
                     post_processor=template([("[CLS]", 2)], [("[SEP]", 3)])),
        "bert cased": dict(model="pieces", normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False},
                           pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False}, added_tokens=bert,
                           post_processor={"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}),
        "digits": dict(model="bytes", pre_tokenizer=pre({"type": "Digits", "individual_digits": False}, {"type": "CharDelimiterSplit", "delimiter": "e"}, BYTES), decoder=byte),
        "forms": dict(model="bytes", normalizer=norm({"type": "NFKD"}, {"type": "StripAccents"}, {"type": "NFC"}), pre_tokenizer=GPT2, decoder=byte),
        "nfd": dict(model="bytes", normalizer=norm({"type": "NFD"}, {"type": "Strip", "strip_left": True, "strip_right": False}), pre_tokenizer=GPT2, decoder=byte),
        "nfkc": dict(model="bytes", normalizer=norm({"type": "NFKC"}, {"type": "Lowercase"}), pre_tokenizer=GPT2, decoder=byte, added_tokens=special),
    }
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        c[f"punctuation {behavior}"] = dict(model="bytes", pre_tokenizer=pre({"type": "Punctuation", "behavior": behavior}, BYTES), decoder=byte)
        invert = behavior == "Removed"
        c[f"spaces {behavior}"] = dict(model="bytes", pre_tokenizer=pre(split(r"\s", behavior, invert), split("o", behavior, not invert, "String"), BYTES), decoder=byte)
    return c


def charsmap():
    """A table of SentencePiece that makes "A" to "a", "é" to "e" and a carriage return to a space. A unit of its trie: label,
    1 << 8 if a text ends there, and << 10 the place of the unit xor that of its children, of which the one with label 0 has
    1 << 31 | where the replacement begins."""
    units = [0] * 0x200
    def add(place, label, children, replacement=None):
        units[place] = label | (place ^ children) << 10 | (0 if replacement is None else 1 << 8)
        if replacement is not None:
            units[children] = 1 << 31 | replacement
    add(0x41, ord("A"), 0x100, 0)
    add(0xc3, 0xc3, 0x180)
    add(0x180 ^ 0xa9, 0xa9, 0x101, 2)
    add(0x0d, 0x0d, 0x102, 4)
    data = struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + b"a\0e\0 \0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parts_of(case):
    """All of a tokenizer.json but its model."""
    parts = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": case.get("added_tokens", [])}
    parts.update((k, case.get(k)) for k in ("normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return compact(parts)


def model_of(case, m):
    text = compact(m[case["model"]])
    old, new = case.get("change", ("", ""))
    assert old in text
    return text.replace(old, new, 1) if old else text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?")
    parser.add_argument("--show", nargs=2)
    args = parser.parse_args()
    if args.models:
        with open(args.models, encoding="utf-8") as f:
            m = {name: json.loads(model) for kind, name, model in (l.split(" ", 2) for l in f if l.startswith("model "))}
    else:
        m = make_models()
    cases = make_cases(m)
    lines = [f"text {compact(t)}" for t in TEXTS] + [f"model {name} {compact(model)}" for name, model in m.items()]
    for name, case in cases.items():
        t = Tokenizer.from_str(parts_of(case)[:-1] + ',"model":' + model_of(case, m) + "}")
        results = []
        for text in TEXTS:
            ids = t.encode(text).ids
            t.encode_special_tokens = True
            plain = t.encode(text, add_special_tokens=False).ids
            t.encode_special_tokens = False
            decoded = [t.decode(ids, skip_special_tokens=s) for s in (False, True)]
            if args.show == [name, text]:
                print(ids, plain, [t.id_to_token(i) for i in ids], *map(repr, decoded), sep="\n")
            data = b"".join(struct.pack(f"<{len(x)}i", *x) for x in (ids, plain)) + "".join(decoded).encode()
            results.append(f"{len(ids)} {fnv(data)[:7]}")
        lines += [f"case {name}", f"uses {case['model']}", *(f"change {c}" for c in case.get("change", ())), f"parts {parts_of(case)}", f"gives {' '.join(results)}"]
    if not args.show:
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
