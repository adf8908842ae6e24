// SPDX-License-Identifier: Apache-2.0
// Which instruction sets are in this build, which of them this processor runs, and the one in use.
#pragma once
#include "kernels/cpu/table.h"

namespace tern::cpu {

// The table in use: the best one that this processor runs. The first call decides; the environment variable
// TERN_CPU_ISA (a name, as "avx2") asks for another one and is ignored when the name is unknown or the processor cannot
// run it.
// May be called from any thread.
const Kernels& kernels();

// The table for products of 8-bit integers in a session whose other kernels are of `k`: that of matrix tiles (Intel
// AMX) where k is the best set, TERN_CPU_ISA asks for none, and the system hands out the registers, which the first
// such call asks it for; else k.
const Kernels& with_tiles(const Kernels& k);

// Takes another table: NULL = the choice of the first call again. False, and nothing changes, when `isa` is not in the
// build or not supported by the processor. For tests and benchmarks: not while kernels of another thread are running.
bool select_kernels(const char* isa);

// Takes a table that is not the build's: for tests that watch kernels. It must outlive its use.
void use_kernels(const Kernels& table);

// The tables that are in the build and run on this processor, best first; behind them those that are taken for some
// products only or in tests, which asks the system for matrix tiles. NULL when index >= the number of them.
const Kernels* runnable_kernels(int index);

}  // namespace tern::cpu
