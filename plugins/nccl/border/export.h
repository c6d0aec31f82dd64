// LH_NCCL_EXPORT marks the tables NCCL looks up by name; nothing else leaves
// the library (exports.map).
#pragma once

// A macro, as an attribute and a linkage have to be written before a type.
#define LH_NCCL_EXPORT extern "C" __attribute__((visibility("default")))
