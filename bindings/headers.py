# SPDX-License-Identifier: Apache-2.0
"""Reads include/tern/*.h: constants, enums, structs, callbacks and functions, each with its comment. Knows the C of those headers
and no other: what it does not understand is an error with its line."""
import os
import re
from dataclasses import dataclass, field

# In the order in which they build on each other.
FILES = ("types", "status", "context", "tensor", "model", "state", "session", "graph", "trainer", "tokenizer", "data", "chat", "generator", "vision", "track", "import")


@dataclass
class Constant:
    name: str
    value: int
    doc: str = ""


@dataclass
class Enum:
    name: str          # "" for one that only groups constants
    values: list       # of Constant
    doc: str = ""


@dataclass
class Type:
    base: str          # "int32_t", "tern_model", "void", "callback"
    pointers: int = 0
    constant: bool = False
    dims: int = 0      # elements of an array in a struct; 0: none
    result: "Type" = None      # of a callback
    parameters: list = None    # of a callback, (name, Type)


@dataclass
class Struct:
    name: str
    fields: list       # (name, Type, doc); empty: opaque
    doc: str = ""
    initial: list = field(default_factory=list)  # as TERN_X_INIT writes them; empty: there is none


@dataclass
class Function:
    name: str
    result: Type
    parameters: list   # (name, Type)
    doc: str = ""


@dataclass
class Interface:
    constants: list = field(default_factory=list)
    enums: list = field(default_factory=list)
    structs: list = field(default_factory=list)
    callbacks: list = field(default_factory=list)  # (name, Type, doc)
    functions: list = field(default_factory=list)
    files: dict = field(default_factory=dict)      # function -> header


def clean(comment):
    """The text of a comment, a line each."""
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in comment.strip()[2:-2].strip().split("\n")]
    return "\n".join(lines).strip()


def parse_type(text):
    text = text.strip()
    constant = text.startswith("const ")
    pointers = text.count("*")
    base = re.sub(r"\bconst\b|\bstruct\b|\*", " ", text).strip()
    if not re.fullmatch(r"\w+", base):
        raise ValueError(f"no type: '{text}'")
    return Type(base, pointers, constant)


def split_list(text):
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "({") - (c in ")}")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [p.strip() for p in parts + [part] if p.strip()]


def parse_declaration(text, constants):
    """"const char* name", "int64_t dims[TERN_MAX_RANK]", "void (*release)(void* user)" -> (name, Type)."""
    text = " ".join(text.split())
    m = re.fullmatch(r"(.+?) ?\(\*(\w+)\)\((.*)\)", text)
    if m:
        parameters = [parse_declaration(p, constants) for p in split_list(m[3]) if p != "void"]
        return m[2], Type("callback", result=parse_type(m[1]), parameters=parameters)
    m = re.fullmatch(r"(.+?[\s*])(\w+)(?:\[(\w+)\])?", text)
    if not m:
        raise ValueError(f"no declaration: '{text}'")
    t = parse_type(m[1])
    if m[3]:
        t.dims = int(m[3]) if m[3].isdigit() else constants[m[3]]
    return m[2], t


def parse_enum(body, doc, name, constants):
    values, next_value, pending = [], 0, ""
    for m in re.finditer(r"/\*.*?\*/|(TERN_\w+)(?:\s*=\s*(-?\w+))?\s*,?", body, re.S):
        if m[0].startswith("/*"):
            line_before = body[:m.start()].rsplit("\n", 1)[-1]
            if line_before.strip() and values:  # behind the value
                values[-1].doc = clean(m[0])
            else:
                pending = clean(m[0])
            continue
        next_value = int(m[2], 0) if m[2] else next_value
        values.append(Constant(m[1], next_value, pending))
        constants[m[1]] = next_value
        pending = ""
        next_value += 1
    return Enum(name, values, doc)


def parse_fields(body, constants):
    fields, pending = [], ""
    for m in re.finditer(r"/\*.*?\*/|[^;/]+;", body, re.S):
        text = m[0].strip()
        if text.startswith("/*"):
            line_before = body[:m.start()].rsplit("\n", 1)[-1]
            if line_before.strip() and fields:
                fields[-1] = (*fields[-1][:2], clean(text))
            else:
                pending = clean(text)
            continue
        words = " ".join(text[:-1].split())
        if "(" in words:
            names = [words]
        else:
            first, *others = split_list(words)
            start = re.match(r"(.+?[\s*])\w+(?:\[\w+\])?$", first)[1]
            names = [first] + [start + other for other in others]
        for one in names:
            fields.append((*parse_declaration(one, constants), pending))
        pending = ""
    return fields


def read(folder):
    api, constants, initial = Interface(), {}, {}
    for header in FILES:
        with open(os.path.join(folder, header + ".h"), encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r"\\\n", " ", text)
        text = re.sub(r"#if defined\(_WIN32\).*?#endif\n", "", text, flags=re.S)
        text = re.sub(r"#ifdef __cplusplus.*?#endif\n", "", text, flags=re.S)
        doc, at = "", 0
        pattern = re.compile(r"""
            (?P<space>\s+)
          | (?P<comment>/\*.*?\*/)
          | \#define[ ](?P<define>TERN_\w+)[ ](?P<value>[^\n]*?)(?:/\*.*?\*/)?\n
          | \#[^\n]*\n
          | typedef[ ]enum[ ]\w+[ ]\{(?P<enum>[^}]*)\}[ ](?P<enum_name>\w+);
          | enum[ ]\{(?P<plain_enum>[^}]*)\};
          | typedef[ ]struct[ ](?P<opaque>\w+)[ ]\w+;
          | typedef[ ]struct[ ]\w+[ ]\{(?P<struct>[^}]*)\}[ ](?P<struct_name>\w+);
          | typedef[ ](?P<callback>[^;{]*\(\*\w+\)[^;]*);
          | typedef[ ](?P<alias>\w+[ ]\w+);
          | TERN_API[ ](?P<function>[^;]*?)[ ]TERN_NOEXCEPT;
        """, re.X | re.S)
        while at < len(text):
            m = pattern.match(text, at)
            if not m:
                raise SystemExit(f"{header}.h:{text[:at].count(chr(10)) + 1}: not understood: {text[at:at + 60]!r}")
            at = m.end()
            if m["space"] is not None:
                continue
            if m["comment"] is not None:
                doc = clean(m["comment"])
                continue
            if m["define"] is not None:
                value = re.sub(r"^\((-\d+)\)$", r"\1", m["value"].strip())
                if re.fullmatch(r"-?\d+", value):
                    constants[m["define"]] = int(value)
                    api.constants.append(Constant(m["define"], int(value), doc))
                elif m["define"].endswith("_INIT"):
                    initial[m["define"]] = split_list(value[1:-1])
            elif m["enum"] is not None:
                api.enums.append(parse_enum(m["enum"], doc, m["enum_name"], constants))
            elif m["plain_enum"] is not None:
                api.enums.append(parse_enum(m["plain_enum"], doc, "", constants))
            elif m["opaque"] is not None:
                api.structs.append(Struct(m["opaque"], [], doc))
            elif m["struct"] is not None:
                api.structs.append(Struct(m["struct_name"], parse_fields(m["struct"], constants), doc))
            elif m["callback"] is not None:
                name, t = parse_declaration(m["callback"], constants)
                api.callbacks.append((name, t, doc))
            elif m["function"] is not None:
                words = " ".join(m["function"].split())
                start, parameters = re.fullmatch(r"(.+?)\((.*)\)", words).groups()
                name, result = parse_declaration(start, constants)
                parameters = [] if parameters == "void" else [parse_declaration(p, constants) for p in split_list(parameters)]
                api.functions.append(Function(name, result, parameters, doc))
                api.files[name] = header
            doc = ""
    for struct in api.structs:
        struct.initial = initial.get(struct.name.upper() + "_INIT", [])
        if struct.initial and len(struct.initial) != len(struct.fields):
            raise SystemExit(f"{struct.name}: {len(struct.initial)} initial values for {len(struct.fields)} fields")
    return api
