// SPDX-License-Identifier: Apache-2.0
// Ends a text that comes in pieces before the first of some strings.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tern::tokens {

class StopStrings {
 public:
  static constexpr size_t kMostStrings = 16, kMostBytes = 256;

  StopStrings() = default;
  // None of them empty.
  explicit StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {}
  bool empty() const { return strings_.empty(); }
  // What of the text so far cannot belong to a string any more and has not been given yet. Lent until the next call.
  std::string_view add(std::string_view piece);
  // What is held back, as no more comes. Another text begins.
  std::string_view end();
  // A string came: nothing more is given until end().
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> strings_;
  std::string held_, given_;
  bool stopped_ = false;
};

}  // namespace tern::tokens
