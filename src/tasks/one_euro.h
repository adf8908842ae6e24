// SPDX-License-Identifier: Apache-2.0
// A filter for one number of a video's frames that moves slowly while the number rests, and fast while it moves.
// Source: G. Casiez et al., 1 Euro Filter: A Simple Speed-based Low-pass Filter, 2012.
#pragma once
#include <cmath>
#include <numbers>

namespace tern {

struct OneEuro {
  double rate;       // frames a second
  double cutoff;     // Hz, of what rests
  double beta = 80;  // by which the cut-off rises with the speed, in sizes a second
  double speed_cutoff = 1;

  struct State {
    bool fresh = true;
    double last = 0, speed = 0;
  };
  // size: what speeds are measured by.
  double operator()(double value, double size, State* s) const {
    if (s->fresh) return s->fresh = false, s->last = value;
    const double a = alpha(speed_cutoff);
    s->speed = a * (value - s->last) / size * rate + (1 - a) * s->speed;
    const double b = alpha(cutoff + beta * std::fabs(s->speed));
    return s->last = b * value + (1 - b) * s->last;
  }

 private:
  double alpha(double hz) const {
    const double r = 2 * std::numbers::pi * hz / rate;
    return r / (r + 1);
  }
};

}  // namespace tern
