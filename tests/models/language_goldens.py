# SPDX-License-Identifier: Apache-2.0
"""Golden results of small random language models.  language_goldens.py [--out golden/language]

Needs torch 2.13.0, transformers 5.24.0 and gguf 0.19.0. For each family a file NAME.gguf, as llama.cpp's converter names and orders its tensors, some of
them quantised by gguf's own code, and NAME.npy: the logits f32 [40, vocab] that transformers gives in f32 with the dequantised
weights for the tokens (7 i + 3) mod vocab, i < 40.

types.gguf: a tensor [2, 256] of each quantised type, named by it, whose blocks are random bytes (scales are small f16 numbers);
types.npy: f32 [types, 2, 256] as gguf dequantises them, in the order of the file.

hf-NAME: a folder as transformers saves it, smaller, in bf16 but for those called so; hf-NAME.npy: as above. hf-bitnet-multiply and
hf-bitnet-divide hold codes packed by transformers with either meaning of weight_scale, hf-bitnet-online master weights; their
results are those of the ternary weights without rounding of activations, those of hf-NAME-int8.npy with transformers' own rounding
of what the projections read (AutoBitLinear). bitnet-ternary.gguf holds projections as TQ1_0 and TQ2_0; its results are rounded, too.

hf-long-NAME: a folder of a model for 4096 tokens, of which no matrix has a number of columns that is a multiple of 32;
hf-long-NAME.npy: the logits f32 [LONG_PLACES, vocab] at these places of the tokens (7 i + i i // 11 + 3) mod vocab.
hf-outliers-NAME: likewise, with some channels of what each kind of projection reads 100 times as large as the others.

hf-bitnet-inner: a folder as the models 1bitLLM/bitnet_b1_58-* are: transformers' BitNet with SiLU computes the same, only names differ.

hf-embedder-NAME and embedder-gemma3.gguf: BitNet's embedding models (docs/bitnet-embeddings-i2s-guide.md of microsoft/BitNet), whose
projections are transformers' AutoBitLinear with a norm and ternary weights made of master weights; the files hold their norms as
NAME_proj.norm.weight or NAME_norm_in.weight. The results [40, hidden] are the vectors behind each token after the last norm, of length
1.
"""
import argparse
import copy
import json
import os
import shutil

import gguf
import numpy as np
os.environ["TORCH_COMPILE_DISABLE"] = "1"
# The same order of sums on all processors: what is committed comes out again.
os.environ.update(ATEN_CPU_CAPABILITY="avx2", MKL_CBWR="COMPATIBLE", ONEDNN_MAX_CPU_ISA="SSE41", OMP_NUM_THREADS="1")
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.integrations import bitnet
from transformers.integrations.bitnet import AutoBitLinear, WeightQuant, pack_weights

TOKENS, VOCAB, HIDDEN, HEADS, KEY_HEADS = 40, 96, 64, 4, 2
Types = gguf.GGMLQuantizationType
# transformers' name of a layer's weight: GGUF's
LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "self_attn.attn_sub_norm": "attn_sub_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.ffn_sub_norm": "ffn_sub_norm"}
GEMMA = {**LAYER, "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
         "post_feedforward_layernorm": "post_ffw_norm"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}

SAME = dict(vocab_size=VOCAB, hidden_size=HIDDEN, num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS, max_position_embeddings=512,
            rms_norm_eps=1e-5, attention_dropout=0.0, initializer_range=0.15, bos_token_id=1, eos_token_id=2, pad_token_id=0)
FAMILIES = {  # GGUF's name: class, configuration, types of attention and of the rest
    "llama": ("Llama", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=1e5, tie_word_embeddings=True,
                            rope_parameters=dict(rope_type="llama3", rope_theta=1e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                 original_max_position_embeddings=8192)), Types.Q8_0, Types.Q4_1),
    "qwen2": ("Qwen2", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=1e6, tie_word_embeddings=False), Types.F16, Types.Q5_1),
    "qwen3": ("Qwen3", dict(num_hidden_layers=2, intermediate_size=64, rope_theta=1e6, head_dim=32, tie_word_embeddings=True), Types.Q5_0, Types.BF16),
    "gemma3": ("Gemma3", dict(num_hidden_layers=6, intermediate_size=32, head_dim=32, rope_theta=1e6, rope_local_base_freq=1e4,
                              sliding_window=9, query_pre_attn_scalar=32, tie_word_embeddings=True,
                              hidden_activation="gelu_pytorch_tanh"), Types.Q4_0, Types.Q4_0),
    "bitnet-b1.58": ("BitNet", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True),
                     Types.F32, Types.F16),
    "bitnet": ("BitNet", dict(num_hidden_layers=2, hidden_size=32, intermediate_size=64, rope_theta=1e4, hidden_act="silu", tie_word_embeddings=True),
               Types.F16, Types.Q8_0),
    "bitnet-ternary": ("BitNet", dict(num_hidden_layers=1, hidden_size=256, intermediate_size=512, rope_theta=5e5, hidden_act="relu2",
                                      tie_word_embeddings=True), Types.TQ1_0, Types.TQ2_0),
}
SMALL = {**SAME, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "bos_token_id": None, "eos_token_id": None,
         "pad_token_id": None}
# Behind which tokens, and so for contexts of one more: pages of 64 and Gemma's window of 512 end among them.
LONG_PLACES = [0, 1, 31, 62, 63, 64, 255, 510, 511, 512, 513, 1023, 2047, 3000, 4094, 4095]
LONG = dict(hidden_size=40, intermediate_size=72, max_position_embeddings=4096)
LLAMA3 = dict(rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=24)
YARN = dict(rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=32)
FOLDERS = {  # class, configuration, bytes of a file at most, is it changed afterwards
    "llama": ("Llama", dict(rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True, tie_word_embeddings=False), "50MB", None),
    "llama-f32": ("Llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0), tie_word_embeddings=True), "50MB", None),
    "mistral": ("Mistral", dict(rope_theta=1e4, sliding_window=9, head_dim=16, tie_word_embeddings=False), "50MB", None),
    "qwen2": ("Qwen2", dict(rope_parameters=YARN, tie_word_embeddings=False), "20KB", None),
    "qwen3": ("Qwen3", dict(rope_theta=1e6, head_dim=16, tie_word_embeddings=True), "50MB", None),
    "gemma3": ("Gemma3", dict(num_hidden_layers=4, head_dim=16, sliding_window=9, query_pre_attn_scalar=24, tie_word_embeddings=True,
                              final_logit_softcapping=20.0, hidden_activation="gelu_pytorch_tanh",
                              layer_types=["sliding_attention", "full_attention"] * 2,
                              rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                                                   sliding_attention=dict(rope_type="default", rope_theta=1e4))), "50MB", None),
    "bitnet": ("BitNet", dict(rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True), "50MB", None),
    "bitnet-multiply": ("BitNet", dict(rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True), "50MB", "autobitlinear"),
    "bitnet-divide": ("BitNet", dict(rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=False), "50MB", "bitlinear"),
    "bitnet-online": ("BitNet", dict(rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True), "50MB", "online"),
    "bitnet-inner": ("BitNet", dict(rope_theta=1e4, hidden_act="silu", num_key_value_heads=HEADS, tie_word_embeddings=True), "50MB", "inner"),
}
EMBEDDERS = {  # class of the model and of its configuration, options
    "qwen3": ("Qwen3Model", "Qwen3Config", dict(rope_theta=1e6, head_dim=16, tie_word_embeddings=True)),
    "gemma3": ("Gemma3TextModel", "Gemma3TextConfig", dict(
        head_dim=16, query_pre_attn_scalar=16, hidden_activation="gelu_pytorch_tanh", sliding_window=9, layer_types=["full_attention"] * 2,
        rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=1e4), sliding_attention=dict(rope_type="default", rope_theta=1e4)))),
}
LONG_FAMILIES = {
    "llama": ("Llama", dict(rope_parameters=dict(LLAMA3, original_max_position_embeddings=1024), tie_word_embeddings=True)),
    "qwen3": ("Qwen3", dict(rope_theta=1e6, head_dim=14, tie_word_embeddings=True)),
    "gemma3": ("Gemma3", dict(head_dim=14, sliding_window=512, query_pre_attn_scalar=14, tie_word_embeddings=True, rope_theta=1e6,
                              hidden_activation="gelu_pytorch_tanh", layer_types=["sliding_attention", "full_attention"])),
    "bitnet": ("BitNet", dict(rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True)),
}
for family_name, (kind, options) in LONG_FAMILIES.items():
    for variant in ("long", "outliers"):
        FOLDERS[f"{variant}-{family_name}"] = (kind, {**LONG, **options}, "50MB", "autobitlinear" if kind == "BitNet" else None)


def neighbours(w, heads):
    """llama.cpp turns pairs of neighbours where transformers turns halves: the rows of q and k are put in that order."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def logits_of(model):
    is_long = model.config.max_position_embeddings == LONG["max_position_embeddings"]
    tokens = [(7 * i + i * i // 11 + 3) % VOCAB for i in range(LONG_PLACES[-1] + 1)] if is_long else [(7 * i + 3) % VOCAB for i in range(TOKENS)]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].float().numpy()
    return logits[LONG_PLACES] if is_long else logits


def add_outliers(model):
    """Makes some channels of what q, k, v, gate and up read, of what o reads and of what down reads 100 times as large."""
    gemma = "Gemma3" in type(model).__name__
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for norm in (layer.input_layernorm, layer.pre_feedforward_layernorm if gemma else layer.post_attention_layernorm):
            one = 1 if gemma else 0  # whose weights are scale - 1
            norm.weight[[3, 17]] = 100 * (norm.weight[[3, 17]] + one) - one
        attention.q_proj.weight *= 0.01  # else one position is all that is seen
        if hasattr(mlp, "ffn_sub_norm"):
            attention.attn_sub_norm.weight[[1, 12]] *= 100
            mlp.ffn_sub_norm.weight[[5, 70]] *= 100
        else:
            attention.v_proj.weight[[1, 12]] *= 100
            mlp.up_proj.weight[[5, 70]] *= 100


def rounded(model):
    """The model whose projections round what they read to 8 bits."""
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, inner in list(part.named_children()):
                if name.endswith("_proj"):
                    new = AutoBitLinear(inner.in_features, inner.out_features, inner.bias is not None)
                    new.load_state_dict({**inner.state_dict(), "weight_scale": torch.ones(1)})
                    setattr(part, name, new)
    return model.eval()


def family(name, out):
    kind, options, of_attention, of_rest = FAMILIES[name]
    torch.manual_seed(sum(map(ord, name)))
    config = getattr(transformers, {"Gemma3": "Gemma3TextConfig"}.get(kind, kind + "Config"))(**{**SAME, **options})
    model = getattr(transformers, kind + "ForCausalLM")(config).float().eval()
    writer = gguf.GGUFWriter(os.path.join(out, name + ".gguf"), "bitnet-b1.58" if name == "bitnet-ternary" else name)
    writer.add_name("random " + name)
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(options["rope_theta"])
    if "head_dim" in options:
        writer.add_key_length(options["head_dim"])
        writer.add_value_length(options["head_dim"])
    if "sliding_window" in options:
        writer.add_sliding_window(options["sliding_window"])
    if "rope_parameters" in options:  # as llama.cpp's converter tells them
        dims = HIDDEN // HEADS
        plain = options["rope_theta"] ** (-np.arange(0, dims, 2) / dims)
        writer.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32))
    state = model.state_dict()
    for key, tensor in state.items():
        w = tensor.numpy().copy()
        if w.ndim == 1:  # norms and biases begin as ones or zeros
            w = (w + 0.1 * torch.randn(w.shape).numpy()).astype(np.float32)
        if key in WHOLE:
            if key == "lm_head.weight" and options["tie_word_embeddings"]:
                continue
            theirs = WHOLE[key]
        else:
            _, _, layer, rest = key.split(".", 3)
            inner, end = rest.rsplit(".", 1)
            theirs = f"blk.{layer}.{(GEMMA if kind == 'Gemma3' else LAYER)[inner]}.{end}"
        quantised = Types.F32 if w.ndim == 1 else of_attention if "attn" in theirs else of_rest
        if quantised == Types.TQ2_0 and "token" in theirs:
            quantised = Types.Q8_0
        elif quantised in (Types.TQ1_0, Types.TQ2_0):  # one scale for all blocks
            scale = float(np.float16(np.abs(w).mean()))
            w = np.clip(np.round(w / scale), -1, 1) * np.float32(scale)
        turned = kind == "Llama" and ("attn_q." in theirs or "attn_k." in theirs)
        count = HEADS if "attn_q." in theirs else KEY_HEADS
        stored = neighbours(w, count) if turned else w
        if kind == "Gemma3" and w.ndim == 1:
            stored = w + 1
        data = gguf.quants.quantize(np.ascontiguousarray(stored), quantised)
        writer.add_tensor(theirs, data, raw_dtype=quantised)
        back = gguf.quants.dequantize(data, quantised).reshape(w.shape).astype(np.float32)
        if kind == "Gemma3" and w.ndim == 1:
            back = back - 1
        if turned:  # the inverse
            back = back.reshape(count, w.shape[0] // count // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)
        state[key] = torch.from_numpy(np.ascontiguousarray(back))
    model.load_state_dict({k: v for k, v in state.items() if not (k == "lm_head.weight" and options["tie_word_embeddings"])}, strict=False)
    model.tie_weights()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    logits = logits_of(rounded(model) if name == "bitnet-ternary" else model)
    np.save(os.path.join(out, name + ".npy"), logits)
    print(name, os.path.getsize(os.path.join(out, name + ".gguf")), "bytes, logits up to", np.abs(logits).max())


def of_bytes(w):
    """Numbers near these that 8 bits and a scale for 32 hold exactly."""
    codes = (w / 2**-8).round().clamp(-126, 126)
    codes[:, 5::32] = 127
    return codes * 2**-8


def ternary(path, model, kind):
    """Makes the weights of the projections ternary: packed, or in the model alone."""
    file = os.path.join(path, "model.safetensors")
    stored, state = load_file(file), model.state_dict()
    for key in ("model.embed_tokens.weight", "lm_head.weight"):
        if key in stored:
            state[key] = of_bytes(state[key])
            stored[key] = state[key].bfloat16()
    for key in [k for k in stored if k.endswith("_proj.weight")]:
        w = state[key].float()
        scale = 1 / w.abs().mean().clamp(min=1e-5)
        codes = (w * scale).round().clamp(-1, 1)
        if kind in ("online", "inner"):
            state[key] = codes / scale
            continue
        given = (1 / scale if kind == "autobitlinear" else scale).bfloat16().reshape(1)
        stored[key] = pack_weights(codes.clone())
        stored[key + "_scale"] = given
        state[key] = codes * given.float() if kind == "autobitlinear" else codes / given.float()
    if kind == "inner":
        stored = {k.replace("attn_sub_norm", "inner_attn_ln").replace("ffn_sub_norm", "ffn_layernorm"): v for k, v in stored.items()}
    save_file(stored, file, metadata={"format": "pt"})
    model.load_state_dict(state)
    with open(os.path.join(path, "config.json")) as f:
        config = json.load(f)
    if kind == "inner":
        config = {k: v for k, v in config.items() if k not in ("dtype", "rope_parameters")}
        config.update(architectures=["BitnetForCausalLM"], model_type="llama", attention_bias=False, input_bits=8, weight_bits=1, pretraining_tp=1,
                      rope_scaling=None, rope_theta=1e4, torch_dtype="float16", transformers_version="4.39.0")
    else:
        config["quantization_config"] = {"quant_method": "bitnet", "modules_to_not_convert": None,
                                         **({"linear_class": "autobitlinear", "quantization_mode": "online"} if kind == "online" else
                                            {"linear_class": kind, "quantization_mode": "offline"})}
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump(config, f, indent=2)


def folder(name, out):
    kind, options, shard, changed = FOLDERS[name]
    torch.manual_seed(sum(map(ord, name)) + (changed in ("autobitlinear", "inner")))  # with others an activation lies between two codes
    config = getattr(transformers, {"Gemma3": "Gemma3TextConfig"}.get(kind, kind + "Config"))(**{**SMALL, **options})
    model = getattr(transformers, kind + "ForCausalLM")(config)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p += 0.1 * torch.randn(p.shape)
        if name.startswith("outliers-"):
            add_outliers(model)
        if not name.endswith("-f32"):
            for p in model.parameters():
                p.copy_(p.bfloat16())
    model = model.float().eval()
    path = os.path.join(out, "hf-" + name)
    shutil.rmtree(path, ignore_errors=True)
    # A copy, as the frequencies of the angles must not become bf16.
    (model if name.endswith("-f32") else copy.deepcopy(model).bfloat16()).save_pretrained(path, max_shard_size=shard)
    generation = os.path.join(path, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    if changed:
        ternary(path, model, changed)
    logits = logits_of(model)
    np.save(os.path.join(out, "hf-" + name + ".npy"), logits)
    if changed:
        np.save(os.path.join(out, "hf-" + name + "-int8.npy"), logits_of(rounded(model)))
    print(name, {f: os.path.getsize(os.path.join(path, f)) for f in sorted(os.listdir(path))}, "logits up to", np.abs(logits).max())


class Same:
    apply = staticmethod(lambda x: x)


def embedder(name, out):
    kind, config_kind, options = EMBEDDERS[name]
    torch.manual_seed(sum(map(ord, name)))
    config = getattr(transformers, config_kind)(**{**SMALL, **options})
    model = getattr(transformers, kind)(config)
    for layer in model.layers:
        for part in (layer.self_attn, layer.mlp):
            for inner_name, inner in list(part.named_children()):
                if inner_name.endswith("_proj"):
                    new = AutoBitLinear(inner.in_features, inner.out_features, False, online_quant=True, use_rms_norm=True, rms_norm_eps=config.rms_norm_eps)
                    new.weight = inner.weight
                    setattr(part, inner_name, new)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p += 0.1 * torch.randn(p.shape)
            p.copy_(p.bfloat16())
        model.embed_tokens.weight.copy_(of_bytes(model.embed_tokens.weight))
    model = model.float().eval()
    path = os.path.join(out, "hf-embedder-" + name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    config.architectures = [kind]
    config.save_pretrained(path)
    state = {k.replace("rms_norm", "norm"): v.bfloat16() for k, v in model.state_dict().items() if "inv_freq" not in k}
    save_file(state, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    tokens = torch.tensor([[(7 * i + 3) % VOCAB for i in range(TOKENS)]])

    with torch.no_grad():
        vectors = lambda: torch.nn.functional.normalize(model(tokens).last_hidden_state[0], dim=-1).numpy()
        np.save(os.path.join(out, f"hf-embedder-{name}-int8.npy"), vectors())
        rounding, bitnet.ActQuant = bitnet.ActQuant, Same
        np.save(os.path.join(out, f"hf-embedder-{name}.npy"), vectors())
        bitnet.ActQuant = rounding
    print("embedder", name, os.path.getsize(os.path.join(path, "model.safetensors")), "bytes")
    if name == "gemma3":
        embedder_gguf(os.path.join(out, "embedder-gemma3.gguf"), config, state)


def embedder_gguf(file, config, state):
    writer = gguf.GGUFWriter(file, "gemma3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_key_length(16)
    writer.add_value_length(16)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1e4)
    writer.add_pooling_type(gguf.PoolingType.LAST)
    for key, tensor in state.items():
        w, short = tensor.float(), key.removesuffix(".weight")
        if short.endswith("_proj"):
            w = WeightQuant.apply(w)
        elif w.ndim == 1 and not short.endswith("_proj.norm"):
            w = w + 1
        if "." not in short:
            theirs = WHOLE["model." + key]
        else:
            _, layer, inner = short.split(".", 2)
            theirs = f"blk.{layer}.{GEMMA[inner.removesuffix('.norm')]}{'_norm_in' if inner.endswith('_proj.norm') else ''}.weight"
        writer.add_tensor(theirs, w.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def types(out):
    rng = np.random.default_rng(5)
    writer = gguf.GGUFWriter(os.path.join(out, "types.gguf"), "llama")
    # f16 scales of each block: where they stand in it
    scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
              "TQ1_0": [52], "TQ2_0": [64]}
    results = []
    for name, places in scales.items():
        kind = Types[name]
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (2, 256 // numbers, size)).astype(np.uint8)
        for at in places:
            blocks[:, :, at:at + 2] = rng.normal(0, 0.1, blocks.shape[:2]).astype("<f2")[..., None].view(np.uint8)
        data = blocks.reshape(2, -1)
        writer.add_tensor(name, data, raw_dtype=kind)
        results.append(gguf.quants.dequantize(data, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    np.save(os.path.join(out, "types.npy"), np.stack(results).astype(np.float32))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/language"))
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for name in FOLDERS:
        folder(name, args.out)
    for name in EMBEDDERS:
        embedder(name, args.out)
    types(args.out)
    for name in FAMILIES:
        family(name, args.out)


if __name__ == "__main__":
    main()
