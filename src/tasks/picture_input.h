// SPDX-License-Identifier: Apache-2.0
// The picture input of a model: how pixels become its tensor, as the metadata says.
#pragma once
#include <cstddef>

#include "graph/task_metadata.h"
#include "image/sample.h"
#include "runtime/session.h"
#include "tern/vision.h"

namespace tern {

class PictureInput {
 public:
  // Reads input.* of the metadata for the task's signature, which must have one input: a picture (of any batch that is
  // fixed, whose first picture counts) of f32, f16, u8, i8 or i32, of a fixed size or one that varies.
  static tern_status create(const Model& model, const TaskMetadata& metadata, PictureInput* out);

  // Of the tensor as it is now; fixed, unless the size varies.
  int32_t width() const { return width_; }
  int32_t height() const { return height_; }
  // Whether the network takes pictures of any width.
  bool free_width() const { return free_width_; }
  bool free_height() const { return free_height_; }
  // Whether it takes any number of pictures at once.
  bool free_batch() const { return free_batch_; }
  // The mapping of a whole picture, as input.fit says; chooses the size where it varies.
  tern_status map_whole(const image::Picture& picture, image::Mapping* mapping);
  // A region, stretched to the input's size.
  tern_status map_region(const image::Picture& picture, const image::CropRect& region, image::Mapping* mapping) const {
    return image::map_crop(picture, width_, height_, region, mapping);
  }
  // For networks that take any.
  tern_status resize(int32_t width, int32_t height, int64_t batch = 1);
  // Fills one picture of the tensor. A mapping may be of less width: what is right of it is 0.
  tern_status fill(const image::Picture& picture, const image::Mapping& mapping, int64_t index = 0);

  Tensor& tensor() const { return *tensor_; }
  ThreadPool& pool() const { return context_->pool(); }

 private:
  tern_status cut_border(image::Size size);

  Ref<Context> context_;
  Ref<Tensor> tensor_;
  DType dtype_ = TERN_DTYPE_F32;
  int64_t batch_ = 1;
  uint64_t most_bytes_ = UINT64_MAX;
  int rank_ = 4;
  int32_t width_ = 0, height_ = 0;
  bool free_width_ = false, free_height_ = false, free_batch_ = false;
  int fit_ = 0;     // stretch, letterbox, cover, own_size
  int filter_ = 0;  // auto, bilinear, area
  double cover_ = 1;
  bool corners_ = false;  // of the grids of pixels meet, not the middles of pixels
  image::LetterBox letterbox_;
  int32_t most_width_ = 0, most_height_ = 0;  // letterbox: with all its border
  int32_t multiple_ = 0, longest_ = 65536, shortest_ = 0, least_ = 0;
  double slim_ = 0, enlarge_ = 1;
  bool planar_ = false;  // NCHW
  image::SampleOptions options_;
  std::vector<unsigned char> scratch_;  // of each thread
  size_t scratch_stride_ = 0;
  std::vector<float> pixels_;  // NHWC, where the tensor is not that of f32
};

// Bytes of the first version of tern_picture.
constexpr size_t kFirstPictureBytes = offsetof(tern_picture, matrix);
// Checks a public picture struct and makes the internal view of it. The caller of an older, shorter struct gets what
// that promised.
tern_status read_picture(const tern_picture* picture, image::Picture* out);

}  // namespace tern
