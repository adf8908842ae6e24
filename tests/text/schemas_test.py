#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random JSON schemas: texts of the grammars that the library makes of them, checked by the package jsonschema.

  tests/text/schemas_test.py PROGRAM [--count N] [--seed S] [--show]

PROGRAM is tern_schema_texts. Exit status 0: all texts are JSON that their schema takes; 77: the package is missing."""
import argparse
import json
import random
import subprocess
import sys

TEXTS = 4  # of each schema
WORDS = ["a", "name", "id", "x y", "é", "quote\"d", "back\\slash", "id2", "日本", "line\nbreak", "na"]
PATTERNS = ["^[a-z]{2,5}$", "^\\d{3}-\\d{4}$", "^(yes|no|maybe)$", "[A-Z]\\w*", "^a.c", "x+y?$", "^[^\"\\\\x]*$", "^\\S+@\\S+\\.(com|org)$",
            "^([a-f0-9]{2}:){3}[a-f0-9]{2}$", "^(?:[+-]?\\d+)?$", "^[\\s\\S]{0,4}$", "^\\u00e9[\\x41-\\x43]$", "^$", "\"", "^(a|b|(c|d)*?)*e$"]


def number_limits(r, s, whole):
    number = (lambda: r.randint(-1200, 1200)) if whole or r.random() < 0.7 else (lambda: round(r.uniform(-50, 50), 2))
    low = number()
    high = low + r.choice([2, 3, 10, 99, 1000, 12345678])
    if r.random() < 0.7:
        s[r.choice(["minimum", "exclusiveMinimum"])] = low
    if r.random() < 0.7:
        s[r.choice(["maximum", "exclusiveMaximum"])] = high
    return s


def value(r, depth=1):
    kind = r.randrange(7 if depth else 5)
    if kind == 5:
        return [value(r, 0) for _ in range(r.randrange(3))]
    if kind == 6:
        return {w: value(r, 0) for w in r.sample(WORDS, r.randrange(3))}
    return [None, True, r.randint(-99, 99), r.choice([0.5, -1.25, 1e30]), r.choice(WORDS)][kind]


def make(r, depth, names):
    """A schema that something fits; names: of the definitions."""
    kind = r.choice(["string", "string", "integer", "number", "boolean", "null", "enum", "const"] +
                    (["object", "object", "object", "array", "array", "anyOf", "oneOf", "types", "any"] if depth else []) +
                    (["$ref"] if names and depth else []))
    s = {}
    if r.random() < 0.2:
        s["description"] = "anything, \"quoted\""
    if kind == "string":
        s["type"] = "string"
        if r.random() < 0.4:
            s["pattern"] = r.choice(PATTERNS)
            return s
        least = r.randrange(4)
        if r.random() < 0.5:
            s["minLength"] = least
        if r.random() < 0.5:
            s["maxLength"] = least + r.randrange(5)
    elif kind in ("integer", "number"):
        s["type"] = kind
        if r.random() < 0.7:
            number_limits(r, s, kind == "integer")
    elif kind in ("boolean", "null"):
        s["type"] = kind
    elif kind == "enum":
        s["enum"] = [value(r) for _ in range(r.randint(1, 4))]
    elif kind == "const":
        s["const"] = value(r)
    elif kind == "object":
        s["type"] = "object"
        properties = {w: make(r, depth - 1, names) for w in r.sample(WORDS, r.randrange(5))}
        if properties or r.random() < 0.5:
            s["properties"] = properties
        if properties and r.random() < 0.7:
            s["required"] = r.sample(list(properties), r.randint(1, len(properties)))
            if r.random() < 0.1 and "more" not in properties:
                s["required"].append("more")
        if r.random() < 0.5:
            s["additionalProperties"] = r.choice([False, True, make(r, depth - 1, names)])
            if s["additionalProperties"] is False and "more" in s.get("required", []):
                s["required"].remove("more")
    elif kind == "array":
        s["type"] = "array"
        least = r.randrange(3)
        if r.random() < 0.6:
            s["items"] = make(r, depth - 1, names)
        if r.random() < 0.3:
            s["prefixItems"] = [make(r, depth - 1, names) for _ in range(r.randint(1, 3))]
            if r.random() < 0.4:
                s["items"] = False
                least = min(least, len(s["prefixItems"]))
        if r.random() < 0.5:
            s["minItems"] = least
        if r.random() < 0.5:
            s["maxItems"] = least + r.randrange(3)
        if r.random() < 0.1:
            s["uniqueItems"] = False
    elif kind == "anyOf":
        s["anyOf"] = [make(r, depth - 1, names) for _ in range(r.randint(1, 3))]
    elif kind == "oneOf":
        if r.random() < 0.5:
            s["oneOf"] = r.sample([{"type": "string", "maxLength": 3}, {"type": "integer"}, {"type": "null"}, {"const": True},
                                   {"type": "array", "items": make(r, depth - 1, names)}], 2)
        else:
            s["oneOf"] = [{"type": "object", "properties": {"kind": {"const": k}, "v": make(r, depth - 1, names)},
                           "required": ["kind"]} for k in ("one", "two", "three")]
    elif kind == "types":
        s["type"] = r.sample(["string", "integer", "null", "boolean", "number"], 2)
        if r.random() < 0.5:
            s["maxLength"] = 2
    elif kind == "$ref":
        s["$ref"] = "#/$defs/" + r.choice(names)
    return s


def make_root(r):
    names = ["one", "a~1b"] if r.random() < 0.4 else []
    s = make(r, 3, [n for n in names])
    while "$ref" in s:
        s = make(r, 3, names)
    if names:
        # They refer to themselves where it may end.
        s["$defs"] = {"one": {"type": "object", "properties": {"next": {"$ref": "#/$defs/one"}, "v": make(r, 1, [])}, "additionalProperties": False},
                      "a/b": {"type": "array", "items": {"$ref": "#/$defs/a~1b"}, "maxItems": 2}}
    return s


# What is not supported is said, with its place.
REFUSED = [({"type": "number", "multipleOf": 3}, "'multipleOf'", "''"), ({"properties": {"a/b": {"not": {}}}}, "'not'", "'/properties/a~1b'"),
           ({"type": "string", "format": "email"}, "'format'", "''"), ({"type": "array", "uniqueItems": True}, "'uniqueItems'", "''"),
           ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "'oneOf'", "''"), ({"$ref": "http://x/y"}, "'$ref'", "''"),
           ({"items": {"type": "string", "pattern": "(?=a)"}}, "'pattern'", "'/items'"), ({"$ref": "#/$defs/none"}, "nothing", "''"),
           ({"anyOf": [{"$ref": "#"}]}, "contains itself", "'"), ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "contains itself", "'"),
           ({"type": "string", "pattern": "a{100000}"}, "repetitions", ""), ({"type": "strin"}, "'type'", "''"), (False, "false", "''"),
           ({"type": "integer", "minimum": 5, "maximum": 4}, "limits", "''"), ({"enum": [1, 2], "type": "string"}, "'enum'", "''"),
           ({"allOf": [{}, {}]}, "'allOf'", "''"), ({"type": "object", "patternProperties": {}}, "'patternProperties'", "''"),
           ({"if": {}, "then": {}}, "'if'", "''"), ({"anyOf": [{}], "properties": {}}, "'properties'", "''")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    try:
        import jsonschema
    except ImportError:
        print("SKIPPED: random JSON schemas (no Python package jsonschema: run tests/setup)")
        return 77
    r = random.Random(args.seed)
    schemas = [make_root(r) for _ in range(args.count)]
    lines = "".join(json.dumps(s, ensure_ascii=r.random() < 0.5) + "\n" for s in schemas + [s for s, _, _ in REFUSED])
    out = subprocess.run([args.program, str(TEXTS), str(args.seed)], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    answers = out.decode().split("\0")[:-1]
    assert len(answers) == TEXTS * (len(schemas) + len(REFUSED)), len(answers)
    failed = different = 0
    for i, s in enumerate(schemas):
        validator = jsonschema.Draft202012Validator(s)
        texts = answers[TEXTS * i:TEXTS * (i + 1)]
        different += len(set(texts)) > 1
        for text in texts:
            if args.show:
                print(json.dumps(s, ensure_ascii=False), "\n   ", text)
            try:
                assert text.startswith("T "), text
                errors = [e.message for e in validator.iter_errors(json.loads(text[2:]))]
                assert not errors, errors
            except (AssertionError, ValueError) as e:
                failed += 1
                print("schema", json.dumps(s, ensure_ascii=False), "\n  text ", text, "\n  ", e)
    for i, (s, what, where) in enumerate(REFUSED):
        text = answers[TEXTS * (len(schemas) + i)]
        if not (text.startswith("E ") and what in text and where in text):
            failed += 1
            print("schema", json.dumps(s), "\n  wants an error with", what, where, "\n  gets ", text)
    print(f"{len(schemas)} schemas, {TEXTS * len(schemas)} texts, {different} schemas with different ones, {failed} failures")
    assert different > len(schemas) / 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
