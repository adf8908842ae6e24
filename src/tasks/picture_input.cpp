// SPDX-License-Identifier: Apache-2.0
#include "tasks/picture_input.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/checked.h"

#include "tasks/metadata.h"

namespace tern {

namespace {

tern_status read_background(uint32_t argb, uint8_t* rgb) {
  if (argb == 0) argb = 0xFFFFFFFF;
  if (argb >> 24 != 0xFF)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT,
                     "tern_picture.background is 0x%08" PRIX32 ": 0xFFRRGGBB is needed, or 0", argb);
  for (int c = 0; c < 3; ++c) rgb[c] = (uint8_t)(argb >> (16 - 8 * c));
  return TERN_OK;
}

}  // namespace

tern_status read_picture(const tern_picture* given, image::Picture* out) {
  if (!given) return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the picture is NULL");
  if (given->struct_size < kFirstPictureBytes)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_picture.struct_size is %u: use TERN_PICTURE_INIT",
                     given->struct_size);
  tern_picture known = {};
  known.alpha = TERN_ALPHA_IGNORED;
  std::memcpy(&known, given, std::min<size_t>(given->struct_size, sizeof known));
  const tern_picture* p = &known;
  if (p->mirrored != 0 && p->mirrored != 1)
    return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "tern_picture.mirrored is %d: 0 or 1", p->mirrored);
  image::Picture v;
  v.format = (image::Format)p->format;
  v.width = p->width, v.height = p->height;
  v.rotation = p->rotation;
  v.mirrored = p->mirrored == 1;
  v.matrix = (image::Matrix)p->matrix;
  v.range = (image::Range)p->range;
  v.alpha = (image::Alpha)p->alpha;
  TERN_TRY(read_background(p->background, v.background));
  for (int i = 0; i < 3; ++i) {
    if (p->planes[i] && p->strides[i] < 0)
      return TERN_FAIL(TERN_ERR_INVALID_ARGUMENT, "the stride of plane %d is %" PRId64, i, p->strides[i]);
    v.plane[i] = p->planes[i];
    v.stride[i] = (size_t)p->strides[i];
  }
  TERN_TRY(image::check_picture(v));
  const image::Region region = {p->region_x, p->region_y, p->region_width, p->region_height};
  if (region.x != 0 || region.y != 0 || region.width != 0 || region.height != 0)
    TERN_TRY(image::cut_picture(region, &v));
  *out = v;
  return TERN_OK;
}

tern_status PictureInput::create(const Model& model, int32_t signature, PictureInput* out) {
  const ModelDef& def = model.def();
  const Signature& sig = def.signatures[(size_t)signature];
  std::string name;
  TERN_TRY(read_text(def, "input.name", "", &name));
  const Value* value = nullptr;
  for (size_t i = 0; i < sig.graph.inputs.size(); ++i) {
    const Value& v = sig.graph.value(sig.graph.inputs[i]);
    if (!value && (name.empty() || v.name == name)) value = &v;
    for (const SymbolicDim& d : sig.symbolic_dims)
      if (d.input == (int32_t)i)
        return TERN_FAIL(TERN_ERR_UNSUPPORTED,
                         "the picture input '%s' has no fixed size: import the model with --input-shape",
                         v.name.c_str());
  }
  if (!value || sig.graph.inputs.size() != 1)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "signature '%s' must have one input, the picture", sig.name.c_str());
  int layout = 0, order = 0;
  TERN_TRY(read_choice(def, "input.layout", "nhwc", {"nhwc", "nchw"}, &layout));
  TERN_TRY(read_choice(def, "input.channels", "rgb", {"rgb", "bgr", "grey"}, &order));
  PictureInput r;
  TERN_TRY(read_choice(def, "input.fit", "stretch", {"stretch", "letterbox", "crop"}, &r.fit_));
  int border = 0;
  TERN_TRY(read_choice(def, "input.border", "replicate", {"replicate", "zero"}, &border));
  int filter = 0;
  TERN_TRY(read_choice(def, "input.filter", "bilinear", {"bilinear", "area"}, &filter));
  r.planar_ = layout == 1;
  const Shape& s = value->shape;
  const int channels = order == 2 ? 1 : 3;
  if (value->dtype != TERN_DTYPE_F32 || s.rank != 4 || s[0] != 1 || s[r.planar_ ? 1 : 3] != channels)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the picture input '%s' is %s%s; one f32 picture of %d channels is needed",
                     value->name.c_str(), dtype_name(value->dtype), to_string(s).c_str(), channels);
  const int64_t height = s[r.planar_ ? 2 : 1], width = s[r.planar_ ? 3 : 2];
  if (height < 1 || width < 1 || height > image::kMaxSide || width > image::kMaxSide)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the picture input is %" PRId64 " x %" PRId64 " pixels", width, height);
  r.height_ = (int32_t)height, r.width_ = (int32_t)width;
  std::vector<double> scale, offset;
  TERN_TRY(read_numbers(def, "input.scale", "1", 0, &scale));
  TERN_TRY(read_numbers(def, "input.offset", "0", 0, &offset));
  if ((scale.size() != 1 && scale.size() != 3) || (offset.size() != 1 && offset.size() != 3))
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'input.scale' and 'input.offset' need 1 or 3 numbers");
  r.options_.channels = channels;
  r.options_.bgr = order == 1;
  r.options_.border = border == 1 ? image::Border::kPad : image::Border::kReplicate;
  r.options_.filter = filter == 1 ? image::Filter::kArea : image::Filter::kBilinear;
  for (size_t i = 0; i < 3; ++i) {
    r.options_.scale[i] = (float)scale[scale.size() == 3 ? i : 0];
    r.options_.offset[i] = (float)offset[offset.size() == 3 ? i : 0];
  }
  r.context_ = Ref<Context>::share(&model.context());
  TERN_TRY(Tensor::create(model.context(), TERN_DTYPE_F32, s, &r.tensor_));
  r.scratch_stride_ = align_up(image::sample_scratch_bytes(r.width_, r.options_.filter), 64);
  r.scratch_.resize(r.scratch_stride_ * (size_t)model.context().pool().num_threads());
  if (r.planar_) r.pixels_.resize((size_t)s.elements());
  *out = std::move(r);
  return TERN_OK;
}

tern_status PictureInput::map_whole(const image::Picture& picture, image::Mapping* mapping) const {
  if (fit_ == 1) return image::map_letterbox(picture, width_, height_, {}, mapping);
  return image::map_stretch(picture, width_, height_, mapping);
}

tern_status PictureInput::fill(const image::Picture& picture, const image::Mapping& mapping) {
  float* pixels = planar_ ? pixels_.data() : (float*)tensor_->data();
  struct Job {
    const image::Picture& picture;
    const image::Mapping& mapping;
    PictureInput& self;
    float* pixels;
    int32_t shares;
    std::atomic<int32_t> failed{TERN_OK};
  };
  // A picture of some thousand pixels is worth a second thread.
  const int32_t shares = std::clamp<int32_t>(height_ * width_ / 8192, 1, context_->pool().num_threads());
  Job job{picture, mapping, *this, pixels, shares};
  context_->pool().run(
      shares,
      [](void* user, int32_t i) {
        Job& j = *(Job*)user;
        const int32_t h = j.self.height_, y0 = (int32_t)((int64_t)h * i / j.shares),
                      y1 = (int32_t)((int64_t)h * (i + 1) / j.shares);
        const tern_status s =
            image::sample(j.picture, j.mapping, j.self.options_, y0, y1, j.pixels,
                          j.self.scratch_.data() + j.self.scratch_stride_ * (size_t)i, j.self.scratch_stride_);
        if (s != TERN_OK) j.failed = s;
      },
      &job);
  // Arguments were proven by the mapping, so a failure here is ours; the words may stand in another thread's record.
  if (job.failed != TERN_OK) return TERN_FAIL(job.failed, "the picture could not be sampled");
  if (planar_) {
    const size_t channels = (size_t)options_.channels, n = pixels_.size() / channels;
    float* out = (float*)tensor_->data();
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < n; ++i) out[c * n + i] = pixels_[i * channels + c];
  }
  return TERN_OK;
}

}  // namespace tern
