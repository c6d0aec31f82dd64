#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/text.h"
#include "base/unique_fd.h"
#include "doctor/gather.h"
#include "topology/topology_file.h"
#include "transport/tcp/tcp_socket.h"

namespace longhaul::doctor {
namespace {

constexpr size_t kLeastSecret = 16;

Limit LimitOf(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) {
    return {kUnlimited, kUnlimited};
  }
  const auto value = [](rlim_t one) {
    return one == RLIM_INFINITY ? kUnlimited : uint64_t{one};
  };
  return {value(limit.rlim_cur), value(limit.rlim_max)};
}

bool BbrIsGranted() {
  for (const AddressFamily family :
       {AddressFamily::kIpv4, AddressFamily::kIpv6}) {
    Result<UniqueFd> socket = OpenTcpSocket(family, {});
    if (!socket.ok()) continue;
    const Result<CongestionChoice> choice =
        SetCongestionControl(socket->get(), "");
    return choice.ok() && choice->as_wanted;
  }
  return false;
}

void TryPorts(HostFacts* facts) {
  const Result<std::vector<Interface>> chosen =
      ChooseInterfaces(facts->interfaces, facts->options.interfaces,
                       facts->options.address_family);
  if (!chosen.ok()) return;  // said where addresses are judged
  for (const Interface& interface : *chosen) {
    facts->ports.push_back(
        {interface.address,
         ListenTcp(interface.address, facts->options.port_range, {}).status()});
  }
}

void ReadSite(HostFacts* facts) {
  const Options& options = facts->options;
  std::optional<TopologyFile> file;
  if (!options.topology.empty()) {
    Result<TopologyFile> read = TopologyFile::Read(options.topology);
    facts->topology = read.status();
    if (!read.ok()) return;
    file = *std::move(read);
  }
  const Result<std::string> site =
      ChooseSite(options.site, file ? &*file : nullptr, facts->host);
  facts->topology = site.status();
  if (site.ok()) facts->site = *site;
}

Status CheckSecret(const std::string& path) {
  if (path.empty()) return {};
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t size =
      file.valid() ? ::read(file.get(), text, sizeof text) : -1;
  if (size < 0) {
    return {StatusCode::kInvalidArgument,
            Text("secret file %s: %s", path.c_str(), std::strerror(errno))};
  }
  if (Trim(std::string_view(text, static_cast<size_t>(size))).size() <
      kLeastSecret) {
    return {StatusCode::kInvalidArgument,
            Text("secret file %s has fewer than %zu bytes", path.c_str(),
                 kLeastSecret)};
  }
  return {};
}

void ReadEnvironment(const char* const* environment, HostFacts* facts) {
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equal = text.find('=');
    if (equal == text.npos || equal + 1 == text.size()) continue;
    if (!text.starts_with("NCCL_") && !text.starts_with("LONGHAUL_")) continue;
    facts->environment[std::string(text.substr(0, equal))] =
        text.substr(equal + 1);
  }
  Result<Options> options = Options::FromEnvironment(environment);
  facts->options_status = options.status();
  if (options.ok()) facts->options = *std::move(options);
}

}  // namespace

void AskTheSystem(const char* const* environment, HostFacts* facts) {
  if (facts->host.empty()) facts->host = HostName();
  facts->glibc = gnu_get_libc_version();
  facts->open_files = LimitOf(RLIMIT_NOFILE);
  facts->locked_memory = LimitOf(RLIMIT_MEMLOCK);
  facts->bbr_granted = BbrIsGranted();
  ReadEnvironment(environment, facts);
  Result<std::vector<Interface>> interfaces = ListInterfaces();
  if (interfaces.ok()) facts->interfaces = *std::move(interfaces);
  TryPorts(facts);
  ReadSite(facts);
  facts->secret = CheckSecret(facts->options.secret_file);
}

HostFacts GatherHostFacts(const char* const* environment) {
  HostFacts facts;
  ReadKernelFiles("", &facts);
  const passwd* user = ::getpwuid(::getuid());  // where NCCL looks, not $HOME
  const std::vector<std::string> settings = WithNcclConf(
      environment, "", user == nullptr ? "" : user->pw_dir, &facts);
  std::vector<const char*> entries;
  entries.reserve(settings.size() + 1);
  for (const std::string& setting : settings) {
    entries.push_back(setting.c_str());
  }
  entries.push_back(nullptr);
  AskTheSystem(entries.data(), &facts);
  FindLibraries(&facts);
  return facts;
}

}  // namespace longhaul::doctor
