// SPDX-License-Identifier: Apache-2.0
// Speed of trackers on people who walk about: frames a second of one thread, for each method.
//   trackers [people=1000] [frames=300] [missed=0.03]
// missed: how often somebody is not found for 1 to 12 frames. There are 2 % of wrong boxes too.
// And what the motion of a camera takes, on pictures of 1280 x 720 pixels full of corners.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tern/tern.h"

namespace {

struct Random {
  uint64_t state;
  uint64_t next() { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; }
  double uniform() { return (double)next() / (double)(1u << 31); }
  double between(double lo, double hi) { return lo + (hi - lo) * uniform(); }
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }
};

struct Person {
  double x, y, vx, vy, width, height;
  int gone = 0;
};

std::vector<std::vector<tern_detection>> walk(int people, int frames, double missed) {
  constexpr double kWidth = 3840, kHeight = 2160;
  Random random{1};
  std::vector<Person> all;
  for (int i = 0; i < people; ++i)
    all.push_back({random.between(0, kWidth), random.between(0, kHeight), random.between(-3, 3), random.between(-1, 1),
                   random.between(24, 60), random.between(44, 120)});
  std::vector<std::vector<tern_detection>> sequence;
  for (int f = 0; f < frames; ++f) {
    std::vector<tern_detection> found;
    const auto add = [&](double x, double y, double w, double h, double score) {
      found.push_back({(float)(x - w / 2), (float)(y - h / 2), (float)(x + w / 2), (float)(y + h / 2),
                       (float)std::clamp(score, 0.0, 1.0), 0});
    };
    for (Person& p : all) {
      if (random.uniform() < 0.02) p.vx = random.between(-3, 3), p.vy = random.between(-1, 1);
      p.x += p.vx, p.y += p.vy;
      if (p.x < 0 || p.x > kWidth) p.vx = -p.vx;
      if (p.y < 0 || p.y > kHeight) p.vy = -p.vy;
      p.gone = random.uniform() < missed ? 1 + (int)(random.next() % 12) : p.gone - 1;
      if (p.gone <= 0)
        add(p.x + random.normal(), p.y + random.normal(), p.width * std::exp(random.normal() / 60),
            p.height * std::exp(random.normal() / 60), 0.85 + 0.1 * random.normal());
    }
    for (int i = 0; i < people / 50; ++i)
      add(random.between(0, kWidth), random.between(0, kHeight), random.between(20, 60), random.between(40, 120),
          random.between(0.1, 0.8));
    sequence.push_back(std::move(found));
  }
  return sequence;
}

void check(tern_status status) {
  if (status == TERN_OK) return;
  std::fprintf(stderr, "%s\n", tern_last_error_message());
  std::exit(1);
}

// Patches of grey, some 12 pixels wide, blended.
std::vector<uint8_t> patches(int width, int height, double shift) {
  std::vector<uint8_t> grey;
  const auto value = [](int x, int y) {
    uint32_t h = (uint32_t)x * 374761393u + (uint32_t)y * 668265263u;
    h = (h ^ h >> 13) * 1274126177u;
    return (double)((h ^ h >> 16) % 256);
  };
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double u = (x + shift) / 12, v = (y + shift / 2) / 12;
      const int i = (int)u, j = (int)v;
      const double s = u - i, t = v - j;
      grey.push_back((uint8_t)((1 - t) * ((1 - s) * value(i, j) + s * value(i + 1, j)) +
                               t * ((1 - s) * value(i, j + 1) + s * value(i + 1, j + 1))));
    }
  return grey;
}

void camera_motion(int32_t format) {
  constexpr int kFrames = 8;
  tern_camera_motion* motion = nullptr;
  check(tern_camera_motion_create(nullptr, &motion));
  double seconds = 0;
  int32_t corners = 0;
  float camera[6];
  for (int f = 0; f < kFrames; ++f) {
    std::vector<uint8_t> pixels = patches(1280, 720, 2.5 * f);
    if (format == TERN_PICTURE_RGB8) {
      std::vector<uint8_t> rgb;
      for (const uint8_t v : pixels) rgb.insert(rgb.end(), 3, v);
      pixels = rgb;
    } else if (format == TERN_PICTURE_NV12) {
      pixels.resize(pixels.size() * 3 / 2, 128);
    }
    tern_picture picture = TERN_PICTURE_INIT;
    picture.format = format;
    picture.width = 1280, picture.height = 720;
    picture.planes[0] = pixels.data();
    picture.strides[0] = format == TERN_PICTURE_RGB8 ? 3840 : 1280;
    picture.planes[1] = pixels.data() + 1280 * 720;
    picture.strides[1] = 1280;
    const auto start = std::chrono::steady_clock::now();
    check(tern_camera_motion_update(motion, &picture, nullptr, 0, camera, &corners));
    if (f > 0) seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  tern_camera_motion_release(motion);
  std::printf("camera motion, %-9s %7.2f ms a frame, %d corners, shift %.3f %.3f\n",
              format == TERN_PICTURE_RGB8   ? "RGB8"
              : format == TERN_PICTURE_NV12 ? "NV12"
                                            : "GREY8",
              1e3 * seconds / (kFrames - 1), corners, (double)camera[2], (double)camera[5]);
}

}  // namespace

int main(int argc, char** argv) {
  const int people = argc > 1 ? std::atoi(argv[1]) : 1000, frames = argc > 2 ? std::atoi(argv[2]) : 300;
  const double missed = argc > 3 ? std::atof(argv[3]) : 0.03;
  const auto sequence = walk(people, frames, missed);
  const struct {
    const char* name;
    int32_t method;
    float low;
  } methods[] = {{"byte", TERN_TRACK_BYTE, 0},
                 {"botsort", TERN_TRACK_BOTSORT, 0},
                 {"ocsort", TERN_TRACK_OCSORT, 0},
                 {"ocsort, low scores too", TERN_TRACK_OCSORT, 0.1f}};
  for (const auto& m : methods) {
    tern_tracker_options o = TERN_TRACKER_OPTIONS_INIT;
    o.method = m.method;
    o.low_score = m.low;
    tern_tracker* tracker = nullptr;
    check(tern_tracker_create(&o, &tracker));
    std::vector<tern_track> tracks;
    double slowest = 0;
    int64_t last = 0;
    const auto now = [] { return std::chrono::steady_clock::now(); };
    const auto begin = now();
    for (const auto& found : sequence) {
      tern_track_frame frame = TERN_TRACK_FRAME_INIT;
      frame.num_detections = (int32_t)found.size();
      frame.detections = found.data();
      tracks.resize(found.size());
      int32_t count = 0;
      const auto start = now();
      check(tern_tracker_update(tracker, &frame, tracks.data(), (int32_t)tracks.size(), &count));
      slowest = std::max(slowest, std::chrono::duration<double>(now() - start).count());
      for (int32_t i = 0; i < count; ++i) last = std::max(last, tracks[(size_t)i].id);
    }
    const double seconds = std::chrono::duration<double>(now() - begin).count();
    std::printf("%-24s %7.0f frames/s, slowest %.1f ms, %lld identities\n", m.name, frames / seconds, 1e3 * slowest,
                (long long)last);
    tern_tracker_release(tracker);
  }
  for (const int32_t format : {TERN_PICTURE_RGB8, TERN_PICTURE_NV12, TERN_PICTURE_GREY8}) camera_motion(format);
  return 0;
}
