// SPDX-License-Identifier: Apache-2.0
// Hugging Face folders: safetensors files that lie, configurations that ask for what is not there, files that are
// missing. That the models compute what they should is tested by language_test.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "import/hf_model.h"
#include "import/safetensors.h"
#include "models/golden.h"

namespace tern::test {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFolder = TERN_ROOT "/tests/models/golden/language/";

std::string file_text(const std::string& name) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(read_bytes(kFolder + name, &bytes)) << name;
  return {bytes.begin(), bytes.end()};
}

std::string safetensors(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  return std::string((const char*)&length, 8) + header + std::string(data, '\1');
}
tern_status read(const std::string& file, Safetensors* out) {
  return Safetensors::read({(const uint8_t*)file.data(), file.size()}, "a.safetensors", out);
}
void says(tern_status got, tern_status status, const char* text) {
  EXPECT_EQ(got, status) << text;
  EXPECT_NE(std::strstr(thread_error().message, text), nullptr) << thread_error().message << "\nnot: " << text;
}

TEST(Safetensors, NumbersOfEachType) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},)"
      R"("h":{"dtype":"F16","shape":[],"data_offsets":[4,6]},"u":{"dtype":"U8","shape":[1],"data_offsets":[6,7]},)"
      R"("f":{"dtype":"F32","shape":[1,1],"data_offsets":[7,11]},)"
      R"("i":{"dtype":"I8","shape":[1],"data_offsets":[11,12]},)"
      R"("d":{"dtype":"F64","shape":[1],"data_offsets":[12,20]},)"
      R"("l":{"dtype":"I64","shape":[1],"data_offsets":[20,28]},)"
      R"("e":{"dtype":"F32","shape":[0,7],"data_offsets":[28,28]}} )";
  const double d = 2.5;
  const float f = -7.25f;
  const int64_t l = -12345;
  std::string data("\x80\x3f\x20\xc1\x00\x3c\xff", 7);  // bf16 1 and -10, f16 1, 255
  data += std::string((const char*)&f, 4) + "\xfe" + std::string((const char*)&d, 8) + std::string((const char*)&l, 8);
  const uint64_t length = header.size();
  Safetensors s;
  const std::string file = std::string((const char*)&length, 8) + header + data;
  ASSERT_EQ(read(file, &s), TERN_OK) << thread_error().message;
  ASSERT_EQ(s.tensors().size(), 8u);
  const auto number = [&](const char* name, int64_t at) {
    float out = 0;
    load_numbers(*s.find(name), at, 1, &out);
    return out;
  };
  EXPECT_EQ(number("b", 0), 1);
  EXPECT_EQ(number("b", 1), -10);
  EXPECT_EQ(number("h", 0), 1);
  EXPECT_EQ(number("u", 0), 255);
  EXPECT_EQ(number("f", 0), -7.25f);
  EXPECT_EQ(number("i", 0), -2);
  EXPECT_EQ(number("d", 0), 2.5f);
  EXPECT_EQ(number("l", 0), -12345);
  EXPECT_EQ(s.find("b")->shape, (Shape{2}));
  EXPECT_EQ(s.find("h")->shape, Shape());
  EXPECT_EQ(s.find("e")->shape, (Shape{0, 7}));
  EXPECT_EQ(s.find("x"), nullptr);
  EXPECT_EQ(s.find(""), nullptr);
}

TEST(Safetensors, FilesThatLie) {
  Safetensors s;
  const auto refused = [&](const std::string& header, size_t data, const char* text,
                           tern_status status = TERN_ERR_CORRUPT) {
    says(read(safetensors(header, data), &s), status, text);
  };
  const auto one = [](const std::string& name, const std::string& rest) {
    return "\"" + name + "\":{\"dtype\":\"U8\"," + rest + "}";
  };
  says(read("", &s), TERN_ERR_CORRUPT, "a.safetensors: 0 bytes");
  says(read(std::string(8, '\0'), &s), TERN_ERR_CORRUPT, "no safetensors file");
  says(read(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), &s), TERN_ERR_LIMIT,
       "header of 18446744073709551615");
  says(read(std::string("\5\0\0\0\0\0\0\0{}", 10), &s), TERN_ERR_CORRUPT, "ends within its header");
  refused("[]", 0, "no safetensors file");
  refused("{} x", 0, "something behind the value");
  refused("{\"a\":1}", 0, "'a' is not described");
  refused("{\"a\":{}}", 0, "'a' is not described");
  refused("{" + one("a", R"("shape":[2],"data_offsets":[0,2],"more":1)") + "}", 2, "'a' is not described");
  refused("{" + one("a", R"("shape":2,"data_offsets":[0,2])") + "}", 2, "'a' is not described");
  refused("{" + one("a", R"("shape":[2],"data_offsets":[0,2,3])") + "}", 2, "'a' is not described");
  refused(R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}})", 2, "the type 'F8_E4M3'",
          TERN_ERR_UNSUPPORTED);
  for (const char* dim : {"-1", "1.5", "\"2\"", "9223372036854775808", "null"})
    refused("{" + one("a", std::string(R"("shape":[)") + dim + R"(],"data_offsets":[0,2])") + "}", 2, "impossible dim");
  refused("{" + one("a", R"("shape":[4294967296,4294967296],"data_offsets":[0,2])") + "}", 2, "impossible dims");
  refused("{" + one("a", R"("shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])") + "}", 1, "too many dims");
  for (const char* offsets : {"[-1,2]", "[2,1]", "[0,\"2\"]", "[0,1e0]", "[0,9223372036854775808]"})
    refused("{" + one("a", std::string(R"("shape":[2],"data_offsets":)") + offsets) + "}", 2,
            "impossible data_offsets");
  refused("{" + one("a", R"("shape":[3],"data_offsets":[0,3])") + "}", 2, "beyond the end");
  refused("{" + one("a", R"("shape":[3],"data_offsets":[0,2])") + "}", 2, "another number of bytes");
  const std::string a = one("a", R"("shape":[4],"data_offsets":[0,4])");
  refused("{" + a + "," + one("b", R"("shape":[2],"data_offsets":[3,5])") + "}", 5, "'b' lies on another");
  refused("{" + a + "," + one("b", R"("shape":[2],"data_offsets":[5,7])") + "}", 7, "'b' follows a hole");
  refused("{" + one("b", R"("shape":[2],"data_offsets":[1,3])") + "}", 3, "'b' follows a hole");
  refused("{" + a + "}", 5, "1 bytes at its end");
  refused("{" + a + "," + a + "}", 4, "'a' twice");
  std::string many = "{";  // more keys than the reader of JSON compares
  for (int i = 0; i < 100; ++i) many += one("t" + std::to_string(i), R"("shape":[0],"data_offsets":[0,0])") + ",";
  refused(many + one("t7", R"("shape":[0],"data_offsets":[0,0])") + "}", 0, "'t7' is there twice");
  refused("{\"a\":" + std::string(1000, '[') + "}", 0, "nested deeper", TERN_ERR_LIMIT);
}

TEST(Safetensors, CutAnywhere) {
  const std::string file = file_text("hf-bitnet-multiply/model.safetensors");
  for (size_t n = 0; n < file.size(); ++n) {
    Safetensors s;
    ASSERT_NE(read(file.substr(0, n), &s), TERN_OK) << n;
    ASSERT_TRUE(s.tensors().empty());
  }
}

// A folder that goes with the test.
struct HfFolder : testing::Test {
  std::string path;
  void SetUp() override {
    path = (fs::temp_directory_path() / "tern-hf-XXXXXX").string();
    ASSERT_TRUE(mkdtemp(path.data()));
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  void copy(const std::string& name) {
    for (const auto& e : fs::directory_iterator(path)) fs::remove(e);
    fs::copy(kFolder + name, path, fs::copy_options::recursive);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name, std::ios::binary).write(text.data(), (std::streamsize)text.size());
  }
  std::string text(const std::string& name) const {
    std::vector<uint8_t> bytes;
    EXPECT_TRUE(read_bytes(path + "/" + name, &bytes)) << name;
    return {bytes.begin(), bytes.end()};
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string t = text(name);
    const size_t at = t.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write(name, t.replace(at, from.size(), to));
  }
  tern_status import(const ImportOptions& options = {}) const {
    ModelDef model;
    const tern_status s = import_hf_folder(path, options, &model);
    EXPECT_EQ(s == TERN_OK, !model.parameters.empty());
    return s;
  }
};

// Each byte of the header changed: a model or an error.
TEST_F(HfFolder, ChangedAnywhere) {
  copy("hf-bitnet-divide");
  std::string file = text("model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  int accepted = 0, refused = 0;
  for (size_t n = 0; n < length + 8; n += n < 8 ? 1 : 3) {
    const char change = n % 2 ? '\x80' : '\1';
    file[n] ^= change;
    write("model.safetensors", file);
    import() == TERN_OK ? ++accepted : ++refused;
    file[n] ^= change;
  }
  EXPECT_GT(refused, 500);
  EXPECT_LT(accepted, 20);
}

TEST_F(HfFolder, ConfigCutOrChanged) {
  copy("hf-gemma3");
  const std::string good = text("config.json");
  HfConfig config;
  for (size_t n = 0; n + 2 < good.size(); ++n) ASSERT_NE(read_hf_config(good.substr(0, n), &config), TERN_OK) << n;
  int accepted = 0, refused = 0;
  for (size_t n = 0; n < good.size(); ++n)
    for (const char change : {'\1', '\2', '\x10', '\x80'}) {
      std::string bad = good;
      bad[n] ^= change;
      read_hf_config(bad, &config) == TERN_OK ? ++accepted : ++refused;
    }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 500);
}

TEST_F(HfFolder, WhatIsMissing) {
  says(import(), TERN_ERR_NOT_FOUND, "no config.json");
  copy("hf-llama");
  fs::remove(path + "/model.safetensors");
  says(import(), TERN_ERR_NOT_FOUND, "neither model.safetensors nor");
  copy("hf-qwen2");
  fs::remove(path + "/model-00002-of-00003.safetensors");
  says(import(), TERN_ERR_NOT_FOUND, "model-00002-of-00003.safetensors is missing");
  copy("hf-qwen2");
  fs::copy(path + "/model-00001-of-00003.safetensors", path + "/model-00002-of-00003.safetensors",
           fs::copy_options::overwrite_existing);
  says(import(), TERN_ERR_CORRUPT, "model-00002-of-00003.safetensors: there is no tensor 'model.layers.");
  copy("hf-qwen2");
  replace("model.safetensors.index.json", "\"model.norm.weight\": \"model-00003-of-00003",
          "\"x\": \"model-00003-of-00003");
  says(import(), TERN_ERR_CORRUPT, "there is no tensor 'x'");
  copy("hf-qwen3");
  replace("model.safetensors", "layers.1.self_attn.q_norm", "layers.1.self_attn.Q_norm");
  says(import(), TERN_ERR_CORRUPT, "'model.layers.1.self_attn.q_norm.weight' is missing in model.safetensors");
  copy("hf-llama-f32");
  replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  says(import(), TERN_ERR_UNSUPPORTED, "9 tensors have no meaning");
  replace("config.json", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 3");
  says(import(), TERN_ERR_CORRUPT, "'model.layers.2.input_layernorm.weight' is missing");
  copy("hf-llama");
  replace("config.json", "\"attention_bias\": true", "\"attention_bias\": false");
  says(import(), TERN_ERR_UNSUPPORTED, "8 tensors have no meaning");
  copy("hf-bitnet-multiply");
  replace("model.safetensors", "layers.0.mlp.up_proj.weight_scale", "layers.0.mlp.up_proj.weight_scalf");
  says(import(), TERN_ERR_CORRUPT, "up_proj.weight_scale' is missing");
  copy("hf-bitnet-multiply");
  replace("config.json", "\"quant_method\": \"bitnet\"", "\"quant_method\": \"gptq\"");
  says(import(), TERN_ERR_UNSUPPORTED, "quantised by 'gptq'");
}

TEST_F(HfFolder, IndexThatLies) {
  const char* const index = "model.safetensors.index.json";
  for (const char* name : {"../model-1.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", ".safetensors",
                           "C:\\\\m.safetensors", "m.safetensors\\u0000.safetensors"}) {
    copy("hf-qwen2");
    replace(index, "model-00001-of-00003.safetensors", name);
    says(import(), TERN_ERR_CORRUPT, "no name of a safetensors file");
  }
  for (const char* bad : {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{\"a\":1}}"}) {
    copy("hf-qwen2");
    write(index, bad);
    EXPECT_EQ(import(), TERN_ERR_CORRUPT) << bad;
  }
  copy("hf-qwen2");  // beside a whole file the index is not read
  write(index, "");
  write("model.safetensors", file_text("hf-qwen3/model.safetensors"));
  write("config.json", file_text("hf-qwen3/config.json"));
  EXPECT_EQ(import(), TERN_OK) << thread_error().message;
  copy("hf-qwen2");
  replace(index, "\"model-00001-of-00003.safetensors\"", "\"model-00009-of-00003.safetensors\"");
  fs::copy(path + "/model-00001-of-00003.safetensors", path + "/model-00009-of-00003.safetensors");
  says(import(), TERN_ERR_CORRUPT, "is in model-0000");
}

TEST_F(HfFolder, CodesThatAreNone) {
  copy("hf-bitnet-multiply");
  std::string file = text("model.safetensors");
  Safetensors s;
  ASSERT_EQ(read(file, &s), TERN_OK);
  const SafeTensor* t = s.find("model.layers.1.mlp.down_proj.weight");
  ASSERT_NE(t, nullptr);
  ASSERT_EQ(t->shape, (Shape{8, 64}));
  file[(size_t)((const char*)t->data - file.data()) + 3 * 64 + 5] |= 0x30;
  write("model.safetensors", file);
  says(import(), TERN_ERR_CORRUPT, "down_proj.weight' holds a code that is no ternary weight, at [3,5]");
}

TEST_F(HfFolder, WhatIsAsked) {
  copy("hf-llama-f32");
  ImportOptions options;
  options.weights = "q3";
  says(import(options), TERN_ERR_INVALID_ARGUMENT, "q3");
  options.weights = "f16";
  EXPECT_EQ(import(options), TERN_OK) << thread_error().message;
  options.max_file_bytes = 80000;
  EXPECT_EQ(import(options), TERN_ERR_LIMIT);
}

TEST_F(HfFolder, ChatTemplates) {
  const auto got = [&] {
    ModelDef model;
    EXPECT_EQ(import_hf_folder(path, {}, &model), TERN_OK) << thread_error().message;
    for (const auto& [key, value] : model.metadata)
      if (key == "language.chat_template") return value;
    return std::string("none");
  };
  copy("hf-bitnet");
  EXPECT_EQ(got(), "none");
  write("tokenizer_config.json", R"({"chat_template":[{"name":"default","template":"x"}]})");
  EXPECT_EQ(got(), "none");
  write("tokenizer_config.json", R"({"added_tokens_decoder":{},"chat_template":"{{ a }}\n"})");
  EXPECT_EQ(got(), "{{ a }}\n");
  write("chat_template.jinja", "{{ b }}");
  EXPECT_EQ(got(), "{{ b }}");
  write("chat_template.jinja", std::string(1 << 16, 'x'));
  EXPECT_EQ(got(), "none");
  write("chat_template.jinja", "a\xff");
  EXPECT_EQ(got(), "none");
  fs::remove(path + "/chat_template.jinja");
  write("tokenizer_config.json", "{");
  says(import(), TERN_ERR_CORRUPT, "tokenizer_config.json: no valid JSON");
}

// A change of a configuration, and what it must say; "" = it is taken.
TEST_F(HfFolder, Configurations) {
  const struct {
    const char *folder, *from, *to, *text;
  } cases[] = {
      {"hf-llama", "\"llama\"", "\"lama\"", "the model_type 'lama'; there are llama, mistral"},
      {"hf-llama", "\"use_cache\"", "\"residual_multiplier\": 0.5, \"x\"", "'residual_multiplier' is not known"},
      {"hf-llama", "\"use_cache\"", "\"residual_multiplier\": null, \"attn_scale\": false, \"use_cache\"", ""},
      {"hf-llama", "\"silu\"", "\"gelu\"", "the activation 'gelu'"},
      {"hf-llama", "\"hidden_size\": 32", "\"hidden_size\": null", "'hidden_size' is missing"},
      {"hf-llama", "\"hidden_size\": 32", "\"hidden_size\": -32", "'hidden_size' is not a number"},
      {"hf-llama", "\"hidden_size\": 32", "\"hidden_size\": 32.0", ""},
      {"hf-llama", "\"hidden_size\": 32", "\"hidden_size\": 64", "'model.embed_tokens.weight' has the shape [96,32]"},
      {"hf-llama", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000000000", "the layers is"},
      {"hf-llama", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "cannot share"},
      {"hf-llama", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0", "the key heads is 0"},
      {"hf-llama", "\"llama3\"", "\"longrope\"", "positions are scaled by 'longrope'"},
      {"hf-llama", "\"llama3\"", "\"yarn\"", "_freq_factor' of rope_parameters is not known"},
      {"hf-llama", "\"low_freq_factor\": 1.0,", "", "'low_freq_factor' of rope_parameters is missing"},
      {"hf-llama", "\"factor\": 8.0,", "", "'factor' of rope_parameters is missing"},
      {"hf-llama", "\"factor\": 8.0", "\"factor\": 0", "'factor' of rope_parameters is not"},
      {"hf-llama", "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 4.0", "above low_freq_factor"},
      {"hf-llama", "\"rope_theta\": 10000.0", "\"rope_theta\": 0", "'rope_theta' of rope_parameters"},
      {"hf-llama", "\"rope_parameters\": {", "\"rope_scaling\": null, \"rope_theta\": 5, \"rope_parameters\": {", ""},
      {"hf-llama-f32", "\"linear\"", "\"dynamic\"", ""},
      {"hf-llama-f32", "\"rope_theta\": 10000.0", "\"partial_rotary_factor\": 0.5", ""},
      {"hf-llama-f32", "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": \"x\"", "'rms_norm_eps' is not a number"},
      {"hf-llama-f32", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false",
       "'lm_head.weight' is missing"},
      {"hf-qwen2", "\"factor\": 4.0", "\"factor\": 4.0, \"truncate\": false", "'truncate' of rope_parameters is false"},
      {"hf-qwen2", "\"use_sliding_window\": false", "\"use_sliding_window\": true", ""},
      {"hf-qwen2", "\"full_attention\"", "\"sliding_attention\"", "'sliding_window' is missing"},
      {"hf-qwen2", "\"full_attention\"", "\"chunked_attention\"", "layer 0 of 'layer_types' is 'chunked_attention'"},
      {"hf-gemma3", "\"sliding_attention\"", "\"full_attention\"", "layer 2 of 'layer_types' breaks the rule"},
      {"hf-gemma3", "\"layer_types\": [", "\"layer_types\": [\"full_attention\",", "a list of all layers"},
      {"hf-gemma3", "\"attn_logit_softcapping\": null", "\"attn_logit_softcapping\": 50.0", "'attn_logit_softcapping'"},
      {"hf-gemma3", "\"use_bidirectional_attention\": false", "\"use_bidirectional_attention\": true", "is not known"},
      {"hf-gemma3", "\"query_pre_attn_scalar\": 24", "\"query_pre_attn_scalar\": 0", "'query_pre_attn_scalar' is not"},
      {"hf-bitnet-multiply", "\"autobitlinear\"", "\"other\"", "'linear_class' is 'other'"},
      {"hf-bitnet-multiply", "\"offline\"", "\"later\"", "'quantization_mode' is 'later'"},
      {"hf-bitnet-multiply", "\"offline\"", "\"online\"", "has the shape [8,32], config.json makes it [32,32]"},
      {"hf-bitnet-multiply", "\"offline\"", "\"offline\", \"use_rms_norm\": true", "'use_rms_norm'"},
      {"hf-bitnet-multiply", "\"modules_to_not_convert\": null", "\"modules_to_not_convert\": [\"q_proj\"]",
       "'q_proj'"},
      {"hf-bitnet-multiply", "\"modules_to_not_convert\": null", "\"modules_to_not_convert\": [\"lm_head\"]", ""},
      {"hf-bitnet-online", "\"online\"", "\"offline\"", "q_proj.weight_scale' is missing"},
      {"hf-bitnet-inner", "\"weight_bits\": 1", "\"weight_bits\": 2", "'weight_bits' is 2; 1 is known"},
      {"hf-bitnet-inner", "\"input_bits\": 8", "\"input_bits\": 4", "'input_bits' is 4; 8 is known"},
      {"hf-bitnet-inner", "\"BitnetForCausalLM\"", "\"LlamaForCausalLM\"", "'input_bits' is not known"},
      {"hf-bitnet-inner", "\"input_bits\": 8,", "", ""},
      {"hf-bitnet-inner", "\"model_type\": \"llama\"", "\"model_type\": \"qwen2\"", "'input_bits' is not known"},
      {"hf-embedder-qwen3", "\"Qwen3Model\"", "\"Qwen3ForCausalLM\"", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.folder) + ": " + c.from + " -> " + c.to);
    copy(c.folder);
    replace("config.json", c.from, c.to);
    const tern_status s = import();
    if (!*c.text) EXPECT_EQ(s, TERN_OK) << thread_error().message;
    else if (s == TERN_OK) ADD_FAILURE() << "taken";
    else says(s, s, c.text);
  }
}

// What older versions of transformers write, and models whose text is a part.
TEST_F(HfFolder, OtherSpellings) {
  const auto value = [](const HfConfig& c) {
    return std::tuple(c.model.rope.scaling, c.model.rope.base, c.model.rope.factor, c.model.rope.original_positions,
                      c.model.local_rope.scaling, c.model.local_rope.base);
  };
  HfConfig config;
  const std::string sizes = R"("vocab_size":96,"hidden_size":32,"num_hidden_layers":4,"num_attention_heads":4,)"
                            R"("intermediate_size":64)";
  ASSERT_EQ(
      read_hf_config(R"({"model_type":"llama",)" + sizes +
                         R"(,"rope_theta":500000.0,"rope_scaling":{"factor":32,)"
                         R"("high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,)"
                         R"("rope_type":"llama3"},"torch_dtype":"bfloat16"})",
                     &config),
      TERN_OK)
      << thread_error().message;
  const int64_t llama3 = (int64_t)RopeScaling::llama3, linear = (int64_t)RopeScaling::linear;
  EXPECT_EQ(value(config), std::tuple(llama3, 5e5, 32., 8192, llama3, 5e5));
  EXPECT_EQ(config.model.kv_heads, 4);
  EXPECT_EQ(config.model.head_dim, 8);
  EXPECT_EQ(config.model.norm_epsilon, 1e-6);
  EXPECT_EQ(config.model.window, 0);
  // As published of Gemma 3: only what differs from the class.
  ASSERT_EQ(read_hf_config(R"({"model_type":"gemma3","mm_tokens_per_image":256,"vision_config":{"hidden_size":1},)"
                           R"("text_config":{"hidden_size":2560,"intermediate_size":10240,"model_type":"gemma3_text",)"
                           R"("num_hidden_layers":34,"rope_scaling":{"factor":8.0,"rope_type":"linear"},)"
                           R"("sliding_window":1024}})",
                           &config),
            TERN_OK)
      << thread_error().message;
  EXPECT_EQ(value(config), std::tuple(linear, 1e6, 8., 131072, 0, 1e4));
  EXPECT_TRUE(config.pictures && config.tied_head);
  EXPECT_EQ(std::tuple(config.model.vocab, config.model.heads, config.model.kv_heads, config.model.head_dim),
            std::tuple(262208, 8, 4, 256));
  EXPECT_EQ(std::tuple(config.model.window, config.model.global_every, config.model.attention_scale),
            std::tuple(1024, 6, 1. / 16));
  // Keys of published files that change nothing.
  ASSERT_EQ(
      read_hf_config(R"({"model_type":"llama",)" + sizes +
                         R"(,"is_llama_config":true,"rope_interleaved":false,"pretraining_tp":1,"use_mrope":false,)"
                         R"("transformers.js_config":{"kv_cache_dtype":{"q4f16":"float16"}},"eos_token_id":[1,2]})",
                     &config),
      TERN_OK)
      << thread_error().message;
  // Mistral has a window unless it says null; Qwen2 has none unless it says so.
  ASSERT_EQ(read_hf_config(R"({"model_type":"mistral",)" + sizes + "}", &config), TERN_OK);
  EXPECT_EQ(config.model.window, 4096);
  ASSERT_EQ(read_hf_config(R"({"model_type":"mistral",)" + sizes + R"(,"sliding_window":null})", &config), TERN_OK);
  EXPECT_EQ(config.model.window, 0);
  const std::string qwen = R"({"model_type":"qwen2",)" + sizes + R"(,"sliding_window":128)";
  ASSERT_EQ(read_hf_config(qwen + "}", &config), TERN_OK);
  EXPECT_EQ(config.model.window, 0);
  ASSERT_EQ(read_hf_config(qwen + R"(,"use_sliding_window":true,"max_window_layers":4})", &config), TERN_OK);
  EXPECT_EQ(config.model.window, 0);
  ASSERT_EQ(read_hf_config(qwen + R"(,"use_sliding_window":true,"max_window_layers":0})", &config), TERN_OK);
  EXPECT_EQ(config.model.window, 128);
  says(read_hf_config(qwen + R"(,"use_sliding_window":true,"max_window_layers":2})", &config), TERN_ERR_UNSUPPORTED,
       "'max_window_layers'");
  EXPECT_EQ(config.model.window, 128);  // untouched
}

}  // namespace
}  // namespace tern::test
