// The words of NCCL's tuner interface: algorithms, protocols, and the model's
// constants of v5 and later, which the plugin is shown and leaves as they are.
//
// Plain values.
#pragma once

#include <cstddef>

namespace longhaul::nccl::abi {

inline constexpr int kAlgoTree = 0;
inline constexpr int kAlgoRing = 1;
inline constexpr int kAlgoCollNetDirect = 2;
inline constexpr int kAlgoCollNetChain = 3;
inline constexpr int kAlgoNvls = 4;
inline constexpr int kAlgoNvlsTree = 5;
inline constexpr int kAlgoPat = 6;
inline constexpr int kAlgorithms = 7;

inline constexpr int kProtoLl = 0;
inline constexpr int kProtoLl128 = 1;
inline constexpr int kProtoSimple = 2;
inline constexpr int kProtocols = 3;

/// How the ranks lie on NVLink domains.
struct NvlDomains {
  int count;
  int min_ranks;
  int max_ranks;
};
static_assert(sizeof(NvlDomains) == 12);

struct TunerConstants {
  double base_latencies[kAlgorithms][kProtocols];
  double hw_latencies[3][kAlgorithms][kProtocols];
  double ll_max_bandwidths[4][3];
  double ring_ll128_bandwidths[4][3];
  double tree_ll128_bandwidths[4][3];
  double tree_bandwidths[4][3];
  double nvls_tree_bandwidths[4][3];
};
static_assert(offsetof(TunerConstants, hw_latencies) == 168);
static_assert(offsetof(TunerConstants, ll_max_bandwidths) == 672);
static_assert(sizeof(TunerConstants) == 1152);

}  // namespace longhaul::nccl::abi
