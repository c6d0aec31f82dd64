#include "site_plugin.h"

#include <climits>
#include <map>
#include <utility>

#include "base/text.h"
#include "log.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

constexpr int kFirstWithContexts = 11;

struct Registry {
  std::mutex mutex;
  std::map<std::string, SitePlugin*> plugins;  ///< by path
};

// Never destroyed, nor what is in it: the children's threads may go on after
// the end of main.
Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

// Others take it for granted that there is a log.
void Silent(abi::LogLevel /*level*/, uint64_t /*flags*/, const char* /*file*/,
            int /*line*/, const char* /*format*/, ...) {}

StatusCode CodeFrom(abi::ResultCode code) {
  switch (code) {
    case abi::ResultCode::kInvalidArgument:
    case abi::ResultCode::kInvalidUsage:
      return StatusCode::kInvalidArgument;
    case abi::ResultCode::kRemoteError:
      return StatusCode::kUnreachable;
    case abi::ResultCode::kSystemError:
      return StatusCode::kExhausted;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status ChildFault(const char* child, const char* call, abi::ResultCode code) {
  return {CodeFrom(code),
          Text("%s, which LONGHAUL_SITE_PLUGIN names, failed in %s: code %d",
               child, call, static_cast<int>(code)),
          FaultScope::kConnection};
}

SitePlugin::SitePlugin(std::string path, Library library,
                       std::unique_ptr<NetTable> net)
    : path_(std::move(path)),
      library_(std::move(library)),
      net_(std::move(net)) {}

Result<SitePlugin*> SitePlugin::Load(const std::string& path) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  const auto known = registry.plugins.find(path);
  if (known != registry.plugins.end()) return known->second;
  Result<Library> library = Library::Open(path);
  if (!library.ok()) {
    return Status(library.status().code(),
                  "LONGHAUL_SITE_PLUGIN: " + library.status().text());
  }
  std::unique_ptr<NetTable> net = FindNewestNet(*library);
  if (net == nullptr) {
    return Status(StatusCode::kInvalidArgument,
                  Text("LONGHAUL_SITE_PLUGIN: %s has no network of NCCL's in "
                       "version %d to %d",
                       path.c_str(), kOldestNet, kNewestNet));
  }
  if (std::string_view(net->name()) == kNetName) {
    return Status(StatusCode::kInvalidArgument,
                  Text("LONGHAUL_SITE_PLUGIN: %s is longhaul itself; name "
                       "another plugin, or none",
                       path.c_str()));
  }
  auto* const plugin =
      new SitePlugin(path, std::move(library).value(), std::move(net));
  registry.plugins.emplace(path, plugin);
  return plugin;
}

Status SitePlugin::Fault(const std::string& what) const {
  return {StatusCode::kUnsupported,
          Text("LONGHAUL_SITE_PLUGIN: %s (%s) %s", path_.c_str(), net_->name(),
               what.c_str())};
}

Status SitePlugin::Init(void** context, uint64_t comm_id, abi::LogFn log) {
  const std::lock_guard lock(mutex_);
  if (initialised_) return {};
  const abi::ResultCode code =
      net_->Init(context, comm_id, log == nullptr ? Silent : log);
  if (code != abi::ResultCode::kSuccess) {
    return Fault(
        Text("cannot start: its init gives code %d", static_cast<int>(code)));
  }
  initialised_ = net_->version() < kFirstWithContexts;
  return {};
}

Result<std::unique_ptr<SitePlugin::Session>> SitePlugin::Begin(uint64_t comm_id,
                                                               abi::LogFn log) {
  std::unique_ptr<Session> session(new Session(*this));
  const Status opened = session->Open(comm_id, log);
  if (!opened.ok()) return opened;
  return session;
}

Status SitePlugin::Session::Open(uint64_t comm_id, abi::LogFn log) {
  Status status = plugin_.Init(&context_, comm_id, log);
  if (!status.ok()) return status;
  open_ = true;
  status = CheckDevice();
  if (!status.ok()) return status;
  Info("Traffic inside the site is left to %s (%s, v%d)", name(),
       plugin_.path_.c_str(), net().version());
  return {};
}

Status SitePlugin::Session::CheckDevice() {
  int count = 0;
  if (net().Devices(&count) != abi::ResultCode::kSuccess || count <= kDevice) {
    return plugin_.Fault("finds no device on this host");
  }
  abi::PropertiesV12 properties{};
  const abi::ResultCode code = net().GetProperties(kDevice, &properties);
  if (code != abi::ResultCode::kSuccess) {
    return plugin_.Fault("does not describe its first device");
  }
  // NCCL has been told that it is host memory whatever the peer.
  if ((properties.ptr_support & abi::kPtrHost) == 0) {
    return plugin_.Fault("does not take host memory");
  }
  longest_ = net().version() == kOldestNet ? size_t{INT_MAX}
                                           : properties.max_p2p_bytes;
  return {};
}

SitePlugin::Session::~Session() {
  if (open_) net().Finalize(context_);
}

}  // namespace longhaul::nccl
