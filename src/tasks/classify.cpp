// SPDX-License-Identifier: Apache-2.0
// Classes and embeddings of a picture or a region.
#include <algorithm>
#include <numeric>

#include "tasks/finder.h"

namespace tern {
namespace {

tern_status fill_input(PictureInput& input, const image::Picture& picture, const image::CropRect* region) {
  image::Mapping mapping;
  TERN_TRY(region ? input.map_region(picture, *region, &mapping) : input.map_whole(picture, &mapping));
  return input.fill(picture, mapping);
}

image::Box box_for(const Found* found, const ResultLists& lists) {
  return found ? found->box : image::Box{0, 0, (double)lists.width, (double)lists.height};
}

class Classifier final : public Describer {
 public:
  explicit Classifier(TaskNetwork network) : Describer(std::move(network)) {}

  tern_status read(const VisionOptions& options) {
    const TaskMetadata& m = network_.metadata();
    output_ = m.output("output.scores");
    TERN_TRY(check_output(network_, "output.scores", output_, -1));
    const Shape& s = network_.declared(output_).shape;
    first_ = std::max<int64_t>(0, m.integer("labels.first"));
    count_ = output_.end >= 0 ? output_.end : elements_of_one(network_, output_);
    if (elements_of_one(network_, output_) < count_ || output_.first + first_ >= count_)
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.scores' names %s, 'labels.first' is %" PRId64,
                       to_string(s).c_str(), first_);
    network_.drop_background(count_ - output_.first - first_);
    TERN_TRY(check_labels(network_, count_ - output_.first - first_));
    activation_ = m.choice("scores.activation");
    // A classifier always has an answer: its best five, unless its file or the caller says otherwise.
    most_ = options.max_results > 0 ? (size_t)options.max_results
            : m.has("result.max")   ? (size_t)m.integer("result.max")
                                    : 5;
    threshold_ = options.min_score > 0 ? options.min_score : m.has("result.score") ? m.number("result.score") : 0;
    return TERN_OK;
  }

  tern_status run(const image::Picture& picture, const image::CropRect* region, const Found* found,
                  const RunControl& control, ResultLists* lists, bool* kept) override {
    *kept = false;
    TERN_TRY(fill_input(network_.input(), picture, region));
    TERN_TRY(network_.run(control));
    const Tensor& t = network_.output(output_);
    if (t.shape().elements() < count_)
      return TERN_FAIL(TERN_ERR_SHAPE, "the scores are %s", to_string(t.shape()).c_str());
    const float* raw = (const float*)t.data() + output_.first;
    const size_t n = (size_t)(count_ - output_.first);
    scores_.assign(raw, raw + n);
    if (activation_ == 2) {
      const double most = *std::max_element(raw, raw + n);
      double sum = 0;
      for (double& s : scores_) sum += s = std::exp(s - most);
      for (double& s : scores_) s /= sum;
    } else if (activation_ == 1) {
      for (double& s : scores_) s = sigmoid(s);
    }
    order_.resize(n - (size_t)first_);
    std::iota(order_.begin(), order_.end(), (size_t)first_);
    std::erase_if(order_, [&](size_t i) { return !(scores_[i] >= threshold_) || !std::isfinite(scores_[i]); });
    const size_t wanted = std::min(order_.size(), found ? 1 : most_);
    std::partial_sort(order_.begin(), order_.begin() + (ptrdiff_t)wanted, order_.end(),
                      [&](size_t a, size_t b) { return scores_[a] != scores_[b] ? scores_[a] > scores_[b] : a < b; });
    for (size_t i = 0; i < wanted; ++i)
      lists->add_detection(box_for(found, *lists), (float)std::min(scores_[order_[i]], 1.0),
                           (int32_t)(order_[i] - (size_t)first_));
    *kept = wanted > 0;
    return TERN_OK;
  }

 private:
  OutputColumns output_;
  int64_t first_ = 0, count_ = 0;
  int activation_ = 0;
  size_t most_ = 5;
  double threshold_ = 0;
  std::vector<double> scores_;
  std::vector<size_t> order_;
};

class Embedder final : public Describer {
 public:
  explicit Embedder(TaskNetwork network) : Describer(std::move(network)) {}

  tern_status read() {
    const TaskMetadata& m = network_.metadata();
    output_ = m.output("output.embedding");
    TERN_TRY(check_output(network_, "output.embedding", output_, -1));
    const Shape& s = network_.declared(output_).shape;
    size_ = elements_of_one(network_, output_);
    if (size_ < 1 || size_ > (1 << 20))
      return TERN_FAIL(TERN_ERR_CORRUPT, "metadata 'output.embedding' names an output of %s", to_string(s).c_str());
    normalize_ = m.choice("embedding.normalize") == 1;
    return TERN_OK;
  }

  tern_status run(const image::Picture& picture, const image::CropRect* region, const Found* found,
                  const RunControl& control, ResultLists* lists, bool* kept) override {
    TERN_TRY(fill_input(network_.input(), picture, region));
    TERN_TRY(network_.run(control));
    const Tensor& t = network_.output(output_);
    if (t.shape().elements() < size_)
      return TERN_FAIL(TERN_ERR_SHAPE, "the embedding is %s", to_string(t.shape()).c_str());
    const float* v = (const float*)t.data();
    double sum = 0;
    for (int64_t i = 0; i < size_; ++i) sum += (double)v[i] * v[i];
    const double factor = normalize_ && sum > 0 && std::isfinite(sum) ? 1 / std::sqrt(sum) : 1;
    lists->embedding_size = (int32_t)size_;
    for (int64_t i = 0; i < size_; ++i) lists->embeddings.push_back((float)(v[i] * factor));
    lists->add_detection(box_for(found, *lists), found ? found->score : 1, found ? found->label : 0);
    *kept = true;
    return TERN_OK;
  }

 private:
  OutputColumns output_;
  int64_t size_ = 0;
  bool normalize_ = true;
};

}  // namespace

tern_status make_classifier(TaskNetwork network, const VisionOptions& options, std::unique_ptr<Describer>* out) {
  auto c = std::make_unique<Classifier>(std::move(network));
  TERN_TRY(c->read(options));
  *out = std::move(c);
  return TERN_OK;
}

tern_status make_embedder(TaskNetwork network, const VisionOptions&, std::unique_ptr<Describer>* out) {
  auto e = std::make_unique<Embedder>(std::move(network));
  TERN_TRY(e->read());
  *out = std::move(e);
  return TERN_OK;
}

}  // namespace tern
