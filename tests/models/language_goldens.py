# SPDX-License-Identifier: Apache-2.0
"""Golden results of small random language models.  language_goldens.py [--out golden/language]

Needs torch, transformers and gguf. For each family a file NAME.gguf, as llama.cpp's converter names and orders its tensors, some of
them quantised by gguf's own code, and NAME.npy: the logits f32 [40, vocab] that transformers gives in f32 with the dequantised
weights for the tokens (7 i + 3) mod vocab, i < 40.

types.gguf: a tensor [2, 256] of each quantised type, named by it, whose blocks are random bytes (scales are small f16 numbers);
types.npy: f32 [types, 2, 256] as gguf dequantises them, in the order of the file.
"""
import argparse
import os

import gguf
import numpy as np
import torch
import transformers

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
    "llama": ("Llama", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=1e5, tie_word_embeddings=True), Types.Q8_0, Types.Q4_1),
    "qwen2": ("Qwen2", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=1e6, tie_word_embeddings=False), Types.F16, Types.Q5_1),
    "qwen3": ("Qwen3", dict(num_hidden_layers=2, intermediate_size=64, rope_theta=1e6, head_dim=32, tie_word_embeddings=True), Types.Q5_0, Types.BF16),
    "gemma3": ("Gemma3", dict(num_hidden_layers=6, intermediate_size=32, head_dim=32, rope_theta=1e6, rope_local_base_freq=1e4,
                              sliding_window=9, query_pre_attn_scalar=32, tie_word_embeddings=True,
                              hidden_activation="gelu_pytorch_tanh"), Types.Q4_0, Types.Q4_0),
    "bitnet-b1.58": ("BitNet", dict(num_hidden_layers=2, intermediate_size=96, rope_theta=5e5, hidden_act="relu2", tie_word_embeddings=True),
                     Types.F32, Types.F16),
}


def neighbours(w, heads):
    """llama.cpp turns pairs of neighbours where transformers turns halves: the rows of q and k are put in that order."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def family(name, out):
    kind, options, of_attention, of_rest = FAMILIES[name]
    torch.manual_seed(sum(map(ord, name)))
    config = getattr(transformers, {"Gemma3": "Gemma3TextConfig"}.get(kind, kind + "Config"))(**{**SAME, **options})
    model = getattr(transformers, kind + "ForCausalLM")(config).float().eval()
    writer = gguf.GGUFWriter(os.path.join(out, name + ".gguf"), name)
    writer.add_name("random " + name)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
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
    tokens = torch.tensor([[(7 * i + 3) % VOCAB for i in range(TOKENS)]])
    with torch.no_grad():
        logits = model(tokens).logits[0].float().numpy()
    np.save(os.path.join(out, name + ".npy"), logits)
    print(name, os.path.getsize(os.path.join(out, name + ".gguf")), "bytes, logits up to", np.abs(logits).max())


def types(out):
    rng = np.random.default_rng(5)
    writer = gguf.GGUFWriter(os.path.join(out, "types.gguf"), "llama")
    # f16 scales of each block: where they stand in it
    scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
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
    types(args.out)
    for name in FAMILIES:
        family(name, args.out)


if __name__ == "__main__":
    main()
