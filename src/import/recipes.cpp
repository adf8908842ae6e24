// SPDX-License-Identifier: Apache-2.0
#include "import/recipes.h"
namespace tern {
tern_status apply_recipe(const ImportOptions&, ModelDef*) { return TERN_OK; }
}  // namespace tern
