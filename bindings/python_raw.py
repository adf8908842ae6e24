# SPDX-License-Identifier: Apache-2.0
"""The raw layer of Python: ctypes structures and functions with the names of C."""
PLAIN = {"int8_t": "c_int8", "uint8_t": "c_uint8", "int32_t": "c_int32", "uint32_t": "c_uint32", "int64_t": "c_int64", "uint64_t": "c_uint64",
         "size_t": "c_size_t", "float": "c_float", "double": "c_double", "tern_status": "c_int32",
         "tern_value": "c_int32"}


def name_of(t, api):
    """The ctypes type as Python text."""
    structs = {s.name: s for s in api.structs}
    callbacks = {name for name, _, _ in api.callbacks}
    if t.base == "callback":
        arguments = ", ".join(["None" if t.result.base == "void" and not t.result.pointers else name_of(t.result, api), *(name_of(p, api) for _, p in t.parameters)])
        return f"CFUNCTYPE({arguments})"
    pointers = t.pointers
    if t.base == "char":
        text, pointers = ("c_char", 0) if pointers == 0 else ("c_char_p", pointers - 1)
    elif t.base == "void":
        text, pointers = "c_void_p", pointers - 1
    elif t.base in structs and not structs[t.base].fields:
        text, pointers = "c_void_p", pointers - 1
    elif t.base in structs or t.base in callbacks:
        text = t.base
    else:
        text = PLAIN[t.base]
    for _ in range(pointers):
        text = f"POINTER({text})"
    return f"{text} * {t.dims}" if t.dims else text


def comment(doc, indent=""):
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in doc.split("\n")) if doc else ""


def docstring(text, indent):
    lines = text.replace("\\", "\\\\").replace('"""', "'''").split("\n")
    return indent + '"""' + ("\n" + indent).join(lines).replace("\n" + indent + "\n", "\n\n") + '"""\n'


def write(api):
    out = ["# SPDX-License-Identifier: Apache-2.0\n",
           '"""The C interface of Tern as it is: made by bindings/generate from include/tern, not by hand."""\n',
           "from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint8, c_uint32,\n"
           "                    c_uint64, c_void_p, sizeof)\n\n"]
    for c in api.constants:
        out.append(comment(c.doc) + f"{c.name} = {c.value}\n")
    for e in api.enums:
        out.append("\n" + comment((f"{e.name}: " if e.name else "") + e.doc if e.doc or e.name else ""))
        for v in e.values:
            out.append(comment(v.doc) + f"{v.name} = {v.value}\n")
    for name, t, doc in api.callbacks:
        out.append("\n" + comment(doc) + f"{name} = {name_of(t, api)}\n")
    for s in api.structs:
        if not s.fields:
            continue
        out.append(f"\n\nclass {s.name}(Structure):\n")
        if s.doc:
            out.append(docstring(s.doc, "    ") + "\n")
        out.append("    _fields_ = [\n")
        for name, t, doc in s.fields:
            out.append(comment(doc, "        ") + f'        ("{name}", {name_of(t, api)}),\n')
        out.append("    ]\n")
        if s.fields[0][0] == "struct_size":
            others = [(f[0], v) for f, v in list(zip(s.fields, s.initial))[1:] if v not in ("0", "NULL") and not v.startswith("{")]
            out.append("\n    def __init__(self, **values):\n")
            given = "".join(f", {name}={value.replace('UINT64_MAX', '2**64 - 1')}" for name, value in others)
            out.append(f"        super().__init__(**{{**dict(struct_size=sizeof({s.name}){given}), **values}})\n")
    out.append("\n\n# name: (result, parameters, their names, what it does)\n")
    for variable, of_import in (("FUNCTIONS", False), ("IMPORT_FUNCTIONS", True)):
        out.append(f"{variable} = {{\n")
        for f in api.functions:
            if (api.files[f.name] == "import") != of_import:
                continue
            result = "None" if f.result.base == "void" and not f.result.pointers else name_of(f.result, api)
            types = ", ".join(name_of(t, api) for _, t in f.parameters)
            names = ", ".join(name for name, _ in f.parameters)
            out.append(f'    "{f.name}": (\n        {result}, [{types}],\n        "{names}",\n        {f.doc!r}),\n')
        out.append("}\n")
    out.append('''

def declare(library, functions):
    """Sets the types of the functions of a ctypes library."""
    for name, (result, parameters, _, doc) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
        function.__doc__ = doc
    return library
''')
    return "".join(out)
