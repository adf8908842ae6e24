#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Writes the node tests of the `onnx` package that runs this, as FOLDER/NAME/model.onnx and test_data_set_N/*.pb. The package
# carries them as code. usage: make_onnx_nodes.py FOLDER
import os
import shutil
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case import node


def serialized(value, info):
    kind = info.type.WhichOneof("value")
    if isinstance(value, onnx.TensorProto):
        proto = value
    elif kind == "sequence_type":
        proto = numpy_helper.from_list(value, info.name)
    elif kind == "optional_type":
        proto = numpy_helper.from_optional(value, info.name)
    else:
        proto = numpy_helper.from_array(np.asarray(value), info.name)
    return proto.SerializeToString()


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def main(folder):
    fresh = folder + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    np.random.seed(0)
    for case in node.collect_testcases(None):
        home = os.path.join(fresh, case.name)
        os.makedirs(home)
        write(os.path.join(home, "model.onnx"), case.model.SerializeToString())
        for i, data in enumerate(case.data_sets):
            home_of_set = os.path.join(home, f"test_data_set_{i}")
            os.makedirs(home_of_set)
            for what, values, infos in (("input", data[0], case.model.graph.input), ("output", data[1], case.model.graph.output)):
                for k, value in enumerate(values):
                    write(os.path.join(home_of_set, f"{what}_{k}.pb"), serialized(value, infos[k]))
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(fresh, folder)


main(sys.argv[1])
