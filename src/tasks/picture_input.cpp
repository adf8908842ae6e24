// SPDX-License-Identifier: Apache-2.0
#include "tasks/picture_input.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/checked.h"

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

tern_status PictureInput::create(const Model& model, const TaskMetadata& m, PictureInput* out) {
  const Signature& sig = model.def().signatures[(size_t)m.signature()];
  if (sig.graph.inputs.size() != 1)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "signature '%s' has %zu inputs; a task needs one, the picture",
                     sig.name.c_str(), sig.graph.inputs.size());
  const Value& v = sig.graph.value(sig.graph.inputs[0]);
  const Shape& s = v.shape;
  PictureInput r;
  r.dtype_ = v.dtype;
  r.rank_ = s.rank;
  const int channels = m.choice("input.channels") == 2 ? 1 : 3, layout = m.choice("input.layout"), rest = s.rank - 3;
  const bool last = s.rank >= 3 && s[s.rank - 1] == channels, first = s.rank >= 3 && s[rest] == channels;
  r.planar_ = layout == 2 || (layout == 0 && !last);
  const auto varies = [&](int axis) {
    return std::any_of(sig.symbolic_dims.begin(), sig.symbolic_dims.end(),
                       [&](const SymbolicDim& d) { return d.input == 0 && d.axis == axis; });
  };
  constexpr DType kTypes[] = {TERN_DTYPE_F32, TERN_DTYPE_F16, TERN_DTYPE_U8, TERN_DTYPE_I8, TERN_DTYPE_I32};
  if (std::find(std::begin(kTypes), std::end(kTypes), v.dtype) == std::end(kTypes) || (s.rank != 4 && s.rank != 3) ||
      !(r.planar_ ? first : last))
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the picture input '%s' is %s%s; a picture of %d channels is needed",
                     v.name.c_str(), dtype_name(v.dtype), to_string(s).c_str(), channels);
  r.free_batch_ = s.rank == 4 && varies(0);
  r.batch_ = s.rank == 4 && !r.free_batch_ ? s[0] : 1;
  const int y = rest + (r.planar_ ? 1 : 0), x = y + 1;
  r.free_height_ = varies(y), r.free_width_ = varies(x);
  const int64_t height = s[y], width = s[x];
  if (r.batch_ < 1 || r.batch_ > 1024 || height < 1 || width < 1 || height > image::kMaxSide || width > image::kMaxSide)
    return TERN_FAIL(TERN_ERR_UNSUPPORTED, "the picture input is %s", to_string(s).c_str());
  r.fit_ = m.choice("input.fit");
  r.filter_ = m.choice("input.filter");
  r.cover_ = m.number("input.cover");
  r.corners_ = m.choice("input.grid") == 1;
  const int align = m.choice("input.align");
  r.letterbox_ = {align % 2 == 1, align >= 2};
  r.multiple_ = (int32_t)m.number("input.multiple"), r.longest_ = (int32_t)m.number("input.longest");
  r.shortest_ = (int32_t)m.number("input.shortest"), r.least_ = (int32_t)m.number("input.least");
  r.slim_ = m.number("input.slim");
  r.enlarge_ = m.number("input.enlarge");
  const std::vector<double> scale = m.numbers("input.scale"), offset = m.numbers("input.offset"),
                            size = m.numbers("input.size");
  if ((scale.size() != 1 && scale.size() != 3) || (offset.size() != 1 && offset.size() != 3))
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'input.scale' and 'input.offset' need 1 or 3 numbers");
  if (!size.empty() && size.size() != 2)
    return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'input.size' needs width and height");
  r.options_.channels = channels;
  r.options_.bgr = m.choice("input.channels") == 1;
  r.options_.border = std::array{image::Border::kReplicate, image::Border::kPad,
                                 image::Border::kConstant}[(size_t)m.choice("input.border")];
  for (size_t i = 0; i < 3; ++i) {
    r.options_.scale[i] = (float)scale[scale.size() == 3 ? i : 0];
    r.options_.offset[i] = (float)offset[offset.size() == 3 ? i : 0];
    r.options_.fill[i] = (float)m.number("input.fill");
  }
  r.context_ = Ref<Context>::share(&model.context());
  r.most_bytes_ = model.max_planned_bytes();
  const auto chosen = [&](bool free, int64_t fixed, size_t i) {
    return (int32_t)(free && size.size() == 2 ? (int64_t)size[i] : fixed);
  };
  r.most_width_ = chosen(r.free_width_, width, 0), r.most_height_ = chosen(r.free_height_, height, 1);
  TERN_TRY(r.resize(r.most_width_, r.most_height_));
  *out = std::move(r);
  return TERN_OK;
}

tern_status PictureInput::resize(int32_t width, int32_t height, int64_t batch) {
  if (!free_batch_) batch = batch_;
  if (tensor_ && width == width_ && height == height_ && batch == batch_) return TERN_OK;
  Shape s = planar_ ? Shape{batch, options_.channels, height, width} : Shape{batch, height, width, options_.channels};
  if (rank_ == 3) s = Shape{s[1], s[2], s[3]};
  TERN_TRY(check_shape(s, "the picture input"));
  if ((uint64_t)s.elements() * dtype_size(dtype_) > most_bytes_)
    return TERN_FAIL(TERN_ERR_LIMIT,
                     "the picture input would be %s, which takes more than the %" PRIu64 " bytes that a plan may",
                     to_string(s).c_str(), most_bytes_);
  Ref<Tensor> tensor;
  TERN_TRY(Tensor::create(*context_, dtype_, s, &tensor));
  // Memory that is missing leaves everything as it was.
  const size_t stride = align_up(std::max(image::sample_scratch_bytes(width, image::Filter::kBilinear),
                                          image::sample_scratch_bytes(width, image::Filter::kArea)),
                                 64),
               scratch = stride * (size_t)context_->pool().num_threads();
  if (scratch_.size() < scratch) scratch_.resize(scratch);
  tensor_ = std::move(tensor), scratch_stride_ = stride;
  width_ = width, height_ = height, batch_ = batch;
  return TERN_OK;
}

// No more border than the network needs.
tern_status PictureInput::cut_border(image::Size size) {
  const double shrink = std::min((double)most_width_ / size.width, (double)most_height_ / size.height);
  const auto side = [&](int32_t v, int32_t most) {
    return most - (most - std::clamp((int32_t)std::nearbyint(v * shrink), 1, most)) / multiple_ * multiple_;
  };
  return resize(free_width_ ? side(size.width, most_width_) : width_,
                free_height_ ? side(size.height, most_height_) : height_);
}

tern_status PictureInput::map_whole(const image::Picture& picture, image::Mapping* mapping) {
  const image::Size size = image::upright_size(picture);
  switch (fit_) {
    case 1:
      if (multiple_ > 0) TERN_TRY(cut_border(size));
      return image::map_letterbox(picture, width_, height_, letterbox_, mapping);
    case 2: {
      const double shrink = cover_ * std::min((double)size.width / width_, (double)size.height / height_);
      return map_region(picture, {size.width / 2.0, size.height / 2.0, width_ * shrink, height_ * shrink, 0}, mapping);
    }
    case 3: {
      // With a border above and below, or left and right, where it is too slim.
      double width = size.width, height = size.height;
      if (slim_ > 0 && width > slim_ * height) height = 2 * width / slim_;
      else if (slim_ > 0 && height > slim_ * width) width = 2 * height / slim_;
      const double whole = shortest_ > 0 ? (double)shortest_ / std::min(size.width, size.height) : 1;
      const double shrink = std::min(whole, (double)longest_ / std::max(size.width, size.height));
      const double scale = std::max(shrink, std::min((double)least_ / std::min(width, height), enlarge_));
      const int32_t step = std::max(multiple_, 1);
      const auto side = [&](double v) {
        return (int32_t)std::clamp(std::round(v * scale / step), 1.0, (double)(image::kMaxSide / step)) * step;
      };
      TERN_TRY(resize(free_width_ ? side(width) : width_, free_height_ ? side(height) : height_));
      return image::map_affine(
          picture, width_, height_,
          {{width / width_, 0, (size.width - width) / 2, 0, height / height_, (size.height - height) / 2}}, mapping);
    }
    default:
      if (cover_ < 1)
        return map_region(picture, {size.width / 2.0, size.height / 2.0, size.width * cover_, size.height * cover_, 0},
                          mapping);
      break;
  }
  return image::map_stretch(picture, width_, height_, mapping);
}

tern_status PictureInput::fill(const image::Picture& picture, const image::Mapping& whole, int64_t index) {
  const int32_t width = whole.model_width;
  image::Mapping mapping = whole;
  if (corners_) {
    double* m = mapping.to_upright.m;
    m[2] += 0.5 - (m[0] + m[1]) / 2, m[5] += 0.5 - (m[3] + m[4]) / 2;
    TERN_TRY(image::map_affine(picture, width, height_, mapping.to_upright, &mapping));
  }
  const bool direct = !planar_ && dtype_ == TERN_DTYPE_F32 && width == width_;
  const size_t values = (size_t)width_ * (size_t)height_ * (size_t)options_.channels;  // of a picture
  unsigned char* const tensor = (unsigned char*)tensor_->data() + (size_t)index * values * dtype_size(dtype_);
  if (!direct && pixels_.size() < values) pixels_.resize(values);
  float* pixels = direct ? (float*)tensor : pixels_.data();
  image::SampleOptions options = options_;
  // Bilinear sampling of a large photograph sees few of its pixels, and their noise; a small one is sampled as the
  // makers of models do.
  constexpr double kMuch = 3;
  constexpr int64_t kLarge = 4'000'000;  // pixels
  const double* a = mapping.to_upright.m;
  const bool much =
      std::fabs(a[0] * a[4] - a[1] * a[3]) >= kMuch * kMuch && (int64_t)picture.width * picture.height >= kLarge;
  const bool area = filter_ == 2 || (filter_ == 0 && much);
  options.filter = area ? image::Filter::kArea : image::Filter::kBilinear;
  struct Job {
    const image::Picture& picture;
    const image::Mapping& mapping;
    const image::SampleOptions& options;
    PictureInput& self;
    float* pixels;
    int32_t shares;
    std::atomic<int32_t> failed{TERN_OK};
  };
  // A picture of some thousand pixels is worth a second thread.
  const int32_t shares =
      (int32_t)std::clamp<int64_t>((int64_t)height_ * width_ / 8192, 1, context_->pool().num_threads());
  Job job{picture, mapping, options, *this, pixels, shares};
  context_->pool().run(
      shares,
      [](void* user, int32_t i) {
        Job& j = *(Job*)user;
        const int32_t h = j.self.height_, y0 = (int32_t)((int64_t)h * i / j.shares),
                      y1 = (int32_t)((int64_t)h * (i + 1) / j.shares);
        const tern_status s =
            image::sample(j.picture, j.mapping, j.options, y0, y1, j.pixels,
                          j.self.scratch_.data() + j.self.scratch_stride_ * (size_t)i, j.self.scratch_stride_);
        if (s != TERN_OK) j.failed = s;
      },
      &job);
  // Arguments were proven by the mapping, so a failure here is ours; the words may stand in another thread's record.
  if (job.failed != TERN_OK) return TERN_FAIL(job.failed, "the picture could not be sampled");
  if (direct) return TERN_OK;
  const size_t channels = (size_t)options_.channels, from = (size_t)width, to = (size_t)width_, rows = (size_t)height_;
  if (from < to) std::memset(tensor, 0, values * dtype_size(dtype_));
  const auto convert = [&](auto store) {
    if (!planar_) {
      for (size_t y = 0; y < rows; ++y)
        for (size_t i = 0; i < from * channels; ++i) store(y * to * channels + i, pixels_[y * from * channels + i]);
      return;
    }
    for (size_t c = 0; c < channels; ++c)
      for (size_t y = 0; y < rows; ++y)
        for (size_t x = 0; x < from; ++x) store((c * rows + y) * to + x, pixels_[(y * from + x) * channels + c]);
  };
  if (dtype_ == TERN_DTYPE_F32) {
    convert([out = (float*)tensor](size_t i, float v) { out[i] = v; });
  } else if (dtype_ == TERN_DTYPE_U8) {
    convert([out = (uint8_t*)tensor](size_t i, float v) { out[i] = (uint8_t)std::clamp(v + 0.5f, 0.0f, 255.0f); });
  } else {
    // Integers are the nearest ones.
    const bool whole = dtype_ != TERN_DTYPE_F16;
    const double most = dtype_ == TERN_DTYPE_I8 ? 127 : 2147483520.0;
    convert([&, out = tensor](size_t i, float v) {
      store_element(dtype_, out, (int64_t)i, whole ? std::clamp(std::floor(v + 0.5), -most - 1, most) : (double)v);
    });
  }
  return TERN_OK;
}

}  // namespace tern
