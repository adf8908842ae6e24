#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An element-wise operator with a fast kernel is two files, and behind a product no more; a backend is its folder and
one line.  kinds_test.py [ROOT [CMAKE [COMPILER]]]

Names: outside an operator's own file and kernels/cpu/formulas.h only those in CHOOSES may name a kind.
Planted: a copy of the tree gets one more operator, in two files. The build must list its kind; the loops over tensors
and the epilogue of products must compute it, to the same bits. Another copy gets one more backend.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

CHOOSES = {
    "kernels/cpu/epilogue.h",         # what is cheap enough for sums in registers
    "kernels/cpu/elementwise.cpp",    # powers of 1 and 2
    "kernels/cpu/conv.cpp",           # a slope for one channel
    "kernels/cpu/conv_transpose.cpp",
    "backends/cpu/epilogue.cpp",      # bounds behind a residual
    "backends/cpu/fusion.cpp",        # scales, shifts, residuals and slopes
    "backends/onednn/operation.cpp",  # another library's list
}
OWN = re.compile(r"(src/ops/\w+\.cpp|kernels/cpu/formulas\.h)$")
TOPS = ("include", "src", "kernels", "backends")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
KIND = re.compile(r"\bElementwise::(?!none\b)\w+")
LIKE = "softsign"  # the planted one is made of its file
PLANTED = "planted_sign"

MAIN = """
#include <cmath>
#include <cstdio>
#include <cstring>
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/matmul.h"
namespace tern::cpu::@SET@ {
extern const ElementwiseKernels elementwise_kernels;
extern const MatmulKernels matmul_kernels;
}
using namespace tern;
int main() {
  const ElementwiseStep step{Elementwise::@NAME@};
  const auto& k = cpu::@SET@::elementwise_kernels;
  if (!k.takes(step.kind, 1, TERN_DTYPE_F32)) return 1;
  float x[39], y[39], behind[39];
  for (int i = 0; i < 39; ++i) x[i] = 0.25f * (float)(i - 20);
  k.unary_row(step, x, y, 39);
  for (int i = 0; i < 39; ++i)
    if (!(std::fabs(y[i] - (2 * x[i] + 1)) < 1e-6f)) return 2;
  cpu::Epilogue e;
  e.activation = step;
  cpu::@SET@::matmul_kernels.finish_rows({x, behind, 13, 13, 3, 13, &e});
  if (std::memcmp(y, behind, sizeof y) != 0) return 3;
  std::printf("@NAME@ is kind number %d\\n", (int)step.kind);
  return 0;
}
"""


def check(path, text):
    """The kinds that a file names and should not."""
    return [] if OWN.match(path) or path in CHOOSES else sorted(set(KIND.findall(COMMENT.sub("", text))))


def check_names(root):
    wrong, read, chosen = [], 0, set()
    for top in TOPS:
        for folder, _, files in os.walk(os.path.join(root, top)):
            for f in files:
                if f.endswith((".h", ".c", ".cpp")):
                    full = os.path.join(folder, f)
                    path = os.path.relpath(full, root).replace(os.sep, "/")
                    with open(full, encoding="utf-8") as file:
                        text = file.read()
                    read += 1
                    wrong += [f"{path} names {kind}" for kind in check(path, text)]
                    if path in CHOOSES and KIND.search(COMMENT.sub("", text)):
                        chosen.add(path)
    wrong += [f"{path} names no kind any more" for path in CHOOSES - chosen]
    for path, text, caught in [
        ("backends/cpu/planted.cpp", "  if (step.kind == Elementwise::tanh) return;\n", True),
        ("src/passes/planted.cpp", "  case Elementwise::relu: break;\n", True),
        ("src/ops/planted.cpp", "    .elementwise = Elementwise::tanh,\n", False),
        ("kernels/cpu/planted.cpp", "  if (kind == Elementwise::none) return;  // Elementwise::relu\n", False),
    ]:
        if bool(check(path, text)) != caught:
            wrong.append(f"planted {path} with {text!r} was judged wrongly")
    return wrong, read


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def copy(root, tree):
    for top in TOPS:
        shutil.copytree(os.path.join(root, top), os.path.join(tree, top))
    shutil.copy(os.path.join(root, "CMakeLists.txt"), tree)


def changes(root, tree):
    """Files of the copy that are new, and those that differ."""
    new, changed = [], []
    for folder, _, files in os.walk(tree):
        for f in files:
            path = os.path.relpath(os.path.join(folder, f), tree)
            before = os.path.join(root, path)
            if not os.path.exists(before):
                new.append(path)
                continue
            with open(before, "rb") as a, open(os.path.join(tree, path), "rb") as b:
                if a.read() != b.read():
                    changed.append(path)
    return sorted(new), sorted(changed)


def replace(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        sys.exit(f"{path} has {old!r} {text.count(old)} times")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


def configure(tree, build, cmake, compiler):
    run(cmake, "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={compiler}",
        *(f"-DTERN_BUILD_{part}=OFF" for part in ("IMPORT", "CLI", "SAMPLES", "TESTS")),
        "-DTERN_CPU_SETS=baseline;neon", "-DTERN_CPU_OPTIMIZATION=-O0")


def object_of(build, source):
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as f:
        found = re.search(rf"^build (\S+/{re.escape(source)}\.o):", f.read(), re.M)
    if not found:
        sys.exit(f"the build does not have {source}")
    return found.group(1)


def plant_operator(root, scratch, cmake, compiler):
    tree, build = os.path.join(scratch, "tree"), os.path.join(scratch, "build")
    copy(root, tree)
    with open(os.path.join(root, f"src/ops/{LIKE}.cpp"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(tree, f"src/ops/{PLANTED}.cpp"), "w", encoding="utf-8") as f:
        f.write(text.replace(LIKE, PLANTED))
    replace(os.path.join(tree, "kernels/cpu/formulas.h"), "#undef TERN_FORMULA\n",
            f"TERN_FORMULA({PLANTED}) = of<Form::unary>([](Vec v) {{ return v + v + splat(1); }});\n#undef TERN_FORMULA\n")
    new, changed = changes(root, tree)
    configure(tree, build, cmake, compiler)
    sources = (f"src/ops/{PLANTED}.cpp", "kernels/cpu/elementwise.cpp", "kernels/cpu/matmul.cpp", "kernels/cpu/rows_f64.cpp")
    objects = [object_of(build, source) for source in sources]
    run(cmake, "--build", build, "--target", "tern_base", *objects)
    main, program = os.path.join(scratch, "main.cpp"), os.path.join(scratch, "main")
    kernels = os.path.basename(objects[1].split(".dir/")[0]).split("_cpu_")[1]
    with open(main, "w", encoding="utf-8") as f:
        f.write(MAIN.replace("@NAME@", PLANTED).replace("@SET@", kernels))
    includes = [f"-I{tree}", *(f"-I{os.path.join(tree, top)}" for top in ("src", "include")),
                f"-I{os.path.join(build, 'generated')}"]
    run(compiler, "-std=c++20", *includes, main, *(os.path.join(build, o) for o in objects[1:]), "-o", program)
    return new + changed, run(program).strip()


def plant_backend(root, scratch, cmake, compiler):
    tree, build = os.path.join(scratch, "backend"), os.path.join(scratch, "backend_build")
    copy(root, tree)
    os.mkdir(os.path.join(tree, "backends/planted"))
    with open(os.path.join(tree, "backends/planted/backend.cpp"), "w", encoding="utf-8") as f:
        f.write('#include "backends/cpu/backend.h"\n'
                "namespace tern::planted {\nconst BackendApi& backend() { return cpu::backend(); }\n}\n")
    replace(os.path.join(tree, "src/capi/context.cpp"), "  X(onednn)\n", "  X(planted) \\\n  X(onednn)\n")
    new, changed = changes(root, tree)
    configure(tree, build, cmake, compiler)
    objects = [object_of(build, source) for source in ("backends/planted/backend.cpp", "src/capi/context.cpp")]
    run(cmake, "--build", build, "--target", *objects)
    defined, wanted = (run("nm", "-C", os.path.join(build, o)) for o in objects)
    if not re.search(r" T tern::planted::backend\(\)$", defined, re.M):
        sys.exit(f"the planted backend is not in its object:\n{defined}")
    if not re.search(r" U tern::planted::backend\(\)$", wanted, re.M):
        sys.exit(f"the list of backends does not have the planted one:\n{wanted}")
    with open(os.path.join(root, "src/capi/context.cpp"), encoding="utf-8") as f:
        before = f.read().split("\n")
    with open(os.path.join(tree, "src/capi/context.cpp"), encoding="utf-8") as f:
        lines = len(f.read().split("\n")) - len(before)
    return new, changed, lines


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", ".."))
    wrong, read = check_names(root)
    for line in wrong:
        print(line)
    if wrong or read < 100:
        sys.exit(f"{len(wrong)} violations in {read} files")
    print(f"{read} files name no element-wise kind but {len(CHOOSES)} that choose one")
    cmake = sys.argv[2] if len(sys.argv) > 2 else "cmake"
    compiler = sys.argv[3] if len(sys.argv) > 3 else "c++"
    with tempfile.TemporaryDirectory() as scratch:
        files, said = plant_operator(root, scratch, cmake, compiler)
        if len(files) != 2:
            sys.exit(f"an operator took {files}")
        print(f"planted in {' and '.join(files)}: {said}")
        new, changed, lines = plant_backend(root, scratch, cmake, compiler)
        if any(not f.startswith("backends/planted/") for f in new) or changed != ["src/capi/context.cpp"] or lines != 1:
            sys.exit(f"a backend took {new}, {changed}, {lines} lines")
        print(f"a backend is its folder and a line of {changed[0]}")


if __name__ == "__main__":
    main()
