// SPDX-License-Identifier: Apache-2.0
// Recipes: what a task needs to know of a model beyond its graph (size and value range of pictures, names of outputs,
// box coding, anchors, thresholds, labels), written into the model's metadata at import.
#pragma once
#include "import/importer.h"

namespace tern {

// Adds the metadata of the recipe that options.recipe names ("none" = no recipe, "" = the one whose inputs and outputs
// the model has, if any), and the labels. Does nothing if the model has the key "task" already.
// Errors: TERN_ERR_INVALID_ARGUMENT for an unknown recipe or one that does not fit.
tern_status apply_recipe(const ImportOptions& options, ModelDef* model);

}  // namespace tern
