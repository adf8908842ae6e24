// SPDX-License-Identifier: Apache-2.0
// The picture input of a model: how pixels become its tensor, as the metadata says.
#pragma once
#include <cstddef>

#include "image/sample.h"
#include "runtime/session.h"
#include "tern/vision.h"

namespace tern {

class PictureInput {
 public:
  // Reads input.* of the metadata for signature `signature`, whose picture input must have a fixed size and batch 1.
  // input.filter: bilinear, or area where the model wants large pictures reduced without skipping pixels.
  static tern_status create(const Model& model, int32_t signature, PictureInput* out);

  int32_t width() const { return width_; }
  int32_t height() const { return height_; }
  bool letterbox() const { return fit_ == 1; }
  // The mapping of a whole picture: stretched or letter-boxed.
  tern_status map_whole(const image::Picture& picture, image::Mapping* mapping) const;
  // Fills the tensor. The model's other inputs, if any, are not its business.
  tern_status fill(const image::Picture& picture, const image::Mapping& mapping);

  Tensor& tensor() const { return *tensor_; }

 private:
  Ref<Context> context_;
  Ref<Tensor> tensor_;
  int32_t width_ = 0, height_ = 0;
  int fit_ = 0;          // 0 stretch, 1 letterbox, 2 crop
  bool planar_ = false;  // NCHW
  image::SampleOptions options_;
  std::vector<unsigned char> scratch_;  // of each thread
  size_t scratch_stride_ = 0;
  std::vector<float> pixels_;  // NHWC, where the tensor is NCHW
};

// Bytes of the first version of tern_picture.
constexpr size_t kFirstPictureBytes = offsetof(tern_picture, matrix);
// Checks a public picture struct and makes the internal view of it. The caller of an older, shorter struct gets what
// that promised.
tern_status read_picture(const tern_picture* picture, image::Picture* out);

}  // namespace tern
