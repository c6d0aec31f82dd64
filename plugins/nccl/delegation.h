// How the two ends of a connection inside a site become ends of another
// plugin's (site_plugin.h): over a private flow the accepting end tells the
// handle of a listener of the child's, and the child does the rest.
//
// One thread at a time. Nothing blocks that the child does not block in.
#pragma once

#include <longhaul/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "abi/common.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "comm.h"
#include "site_plugin.h"
#include "transport/tcp/hello.h"

namespace longhaul::nccl {

/// What is told: the child's name (FNV-1a), and a handle.
inline constexpr size_t kIntroductionBytes = 8 + abi::kHandleBytes;

/// The hello's flags, of one that has a child or none.
constexpr uint16_t FlagsOf(const SitePlugin::Session* session) {
  return session == nullptr ? uint16_t{0} : Hello::kDelegated;
}
/// A fault unless both ends have a child, or none has.
Status CheckBothDelegate(const SitePlugin::Session* session,
                         const Hello& theirs, const std::string& peer);

/// The end that accepts, until there is a connection.
class DelegatedAccept {
 public:
  /// `session` must outlive it; `peer` is for messages.
  DelegatedAccept(SitePlugin::Session& session, UniqueFd flow, std::string peer,
                  TimePoint deadline);
  ~DelegatedAccept();
  DelegatedAccept(const DelegatedAccept&) = delete;
  DelegatedAccept& operator=(const DelegatedAccept&) = delete;

  /// The connection; null: not yet. A fault is final.
  Result<std::unique_ptr<RecvComm>> Poll(TimePoint now);

 private:
  Status Listen();
  Status Tell();

  SitePlugin::Session& session_;
  UniqueFd flow_;
  const std::string peer_;
  const TimePoint deadline_;
  void* listen_comm_ = nullptr;  ///< the child's
  std::array<uint8_t, kIntroductionBytes> bytes_{};
  size_t told_ = 0;
};

/// The end that connects, until there is a connection.
class DelegatedConnect {
 public:
  /// As DelegatedAccept.
  DelegatedConnect(SitePlugin::Session& session, UniqueFd flow,
                   std::string peer, TimePoint deadline);

  /// The connection; null: not yet. A fault is final.
  Result<std::unique_ptr<SendComm>> Poll(TimePoint now);

 private:
  Status Hear();
  Status CheckName() const;

  SitePlugin::Session& session_;
  UniqueFd flow_;
  const std::string peer_;
  const TimePoint deadline_;
  /// The child may keep its state in its handle from call to call.
  alignas(8) std::array<uint8_t, kIntroductionBytes> bytes_{};
  size_t heard_ = 0;
};

}  // namespace longhaul::nccl
