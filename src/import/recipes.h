// SPDX-License-Identifier: Apache-2.0
// Recipes: what a task needs to know of a model beyond its graph (graph/task_metadata.h), written into the model's
// metadata at import. A recipe is a text in recipes/, which is matched by the structure of inputs and outputs.
#pragma once
#include "import/importer.h"

namespace tern {

// Adds the metadata of the recipe that options.recipe names ("none" = no recipe, "" = the one that fits best, if any),
// then the labels and settings, and proves the result. Does nothing if the model has the key "task" already.
// Errors: TERN_ERR_INVALID_ARGUMENT for an unknown recipe or one that does not fit, a task of which it is not plain
// what the outputs mean, and a setting that cannot be.
tern_status apply_recipe(const ImportOptions& options, ModelDef* model);

// What stands in tern_import_get_recipe: those that come with the library, by name.
struct RecipeSummary {
  std::string name, task, about;
};
std::span<const RecipeSummary> recipe_summaries();

// The strings in the text of a Python dictionary or list: "{0: 'person', 1: 'car'}".
std::vector<std::string> python_strings(const std::string& text);

}  // namespace tern
