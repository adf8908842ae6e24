// SPDX-License-Identifier: Apache-2.0
// JSON schemas (2020-12) as grammars: each text of the grammar is JSON that the schema takes. Not the other way round:
// properties come in the schema's order, white space is sparse, numbers have at most 15 digits before and behind the
// point, and what a schema allows by saying nothing (properties beside those it names) is left out.
#pragma once
#include <memory>
#include <string_view>

#include "tern/status.h"

namespace tern::tokens {

class Grammar;

// Errors  TERN_ERR_CORRUPT      no JSON, no schema, or one that no finite JSON fits
//         TERN_ERR_UNSUPPORTED  a keyword, or a value of one, that is not there: the message names it and its pointer
//         TERN_ERR_LIMIT        too large
tern_status grammar_of_schema(std::string_view schema, std::shared_ptr<const Grammar>* out);
// The rules themselves, for tests and the curious.
tern_status rules_of_schema(std::string_view schema, std::string* rules);

}  // namespace tern::tokens
