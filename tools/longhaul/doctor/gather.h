// Reads a host's facts. Changes nothing and sends nothing; opens sockets of its
// own, binds and listens, and closes them again.
//
// One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "doctor/host_facts.h"

namespace longhaul::doctor {

/// What the files of the kernel say: sysctls, clock, MTUs, release, whether
/// there is a module tcp_bbr. `root` stands before /proc, /sys and /lib; "" is
/// this host, tests give a folder.
void ReadKernelFiles(const std::string& root, HostFacts* facts);

/// The settings of a configuration file of NCCL, as NCCL reads it: the part of
/// a line before its first '=' is the name, all behind it the value.
std::vector<std::string> NcclConfSettings(const std::string& text);

/// `environment` and, behind it, what NCCL's configuration files add to it:
/// NCCL_CONF_FILE, or else `home`/.nccl.conf, then `root`/etc/nccl.conf. Notes
/// the files that are there in facts->nccl_confs.
std::vector<std::string> WithNcclConf(const char* const* environment,
                                      const std::string& root,
                                      const std::string& home,
                                      HostFacts* facts);

/// What this process is given: options and files out of `environment`
/// ("NAME=value", ended by a null pointer), limits, addresses, ports, BBR.
/// `facts` has the sysctls already.
void AskTheSystem(const char* const* environment, HostFacts* facts);

/// Which libraries load, by the variables in facts->environment.
void FindLibraries(HostFacts* facts);

/// All of it, of this host.
HostFacts GatherHostFacts(const char* const* environment);

}  // namespace longhaul::doctor
