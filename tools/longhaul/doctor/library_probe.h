// Loads a shared library in a process of its own, so that what its start-up
// code does, or breaks, stays there.
//
// One thread at a time: forks.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "doctor/host_facts.h"

namespace longhaul::doctor {

/// Looks for `asked` as dlopen does, and for `symbols` in it. If it has
/// ncclGetVersion, that is called for the version. A library that ends its
/// process or takes longer than `patience` does not load, and why is said.
LibraryFact ProbeLibrary(
    const std::string& asked, std::span<const char* const> symbols,
    std::chrono::seconds patience = std::chrono::seconds(10));

}  // namespace longhaul::doctor
