// What a process has one of, however many communicators NCCL makes in it: the
// core's context, its site, and those that listen. NCCL's versions up to v10
// give no context to hang it on, so it is kept here and counted.
//
// Any thread.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "collective/context_impl.h"
#include "collective/process_card.h"
#include "handle.h"
#include "path/pipe.h"
#include "site_plugin.h"

namespace longhaul::nccl {

class Process final : private PipeAcceptor {
 public:
  /// Gives back what Acquire gave.
  struct Releaser {
    void operator()(Process*) const;
  };
  /// A hold on the process's own; the last to go closes its connections, in
  /// bounded time.
  using Hold = std::unique_ptr<Process, Releaser>;
  /// Made from LONGHAUL_* at the first call. A fault says what to change.
  static Result<Hold> Acquire();

  ~Process() override;

  /// Hears of pipes to one cookie. Engine thread.
  class PipeTaker {
   public:
    virtual ~PipeTaker() = default;
    virtual void TakePipe(PipeHub& hub, uint32_t number) = 0;
  };
  /// Engine thread. Private flows and pipes to `cookie` go to the takers, until
  /// Unexpect.
  void Expect(uint64_t cookie, PrivateFlowTaker& flows, PipeTaker& pipes);
  void Unexpect(uint64_t cookie);

  Context::Impl& context() { return *context_; }
  Engine& engine() { return context_->engine(); }
  /// Moves things on, from a call of NCCL's that polls.
  void Assist() { engine().Assist(Now()); }
  const std::string& site() const { return site_; }
  uint64_t site_name() const { return site_name_; }
  bool wan_access() const { return wan_access_; }
  const ProcessCard& card() const { return card_; }
  /// The card as pipes' greetings say it.
  std::span<const uint8_t> greeting() const { return greeting_; }
  /// Null: there is no LONGHAUL_SITE_PLUGIN.
  SitePlugin* site_plugin() { return site_plugin_; }
  /// How long peers may take to connect.
  Duration patience() const {
    return context_->options().connect_timeout.count();
  }
  /// What leads to this process, and there to `cookie`.
  Handle HandleFor(uint64_t cookie) const;
  /// The card of the process a handle leads to, as far as a handle can say.
  static ProcessCard CardOf(const Handle& handle);

 private:
  Process() = default;
  Status Open();
  bool OnPipe(PipeHub& hub, uint32_t number, uint64_t door,
              std::span<const uint8_t> greeting) override;

  std::unique_ptr<Context::Impl> context_;
  std::string site_;
  uint64_t site_name_ = 0;
  bool wan_access_ = true;
  SitePlugin* site_plugin_ = nullptr;
  ProcessCard card_;
  std::vector<uint8_t> greeting_;
  std::map<uint64_t, PipeTaker*> pipe_takers_;  ///< engine thread
};

}  // namespace longhaul::nccl
