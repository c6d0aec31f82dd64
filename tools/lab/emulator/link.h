// A link between two interfaces: two channels, the loop that moves frames, and
// the control socket.
// Thread-compatible; Run() blocks.
#pragma once

#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "lab/emulator/channel.h"
#include "lab/emulator/control.h"
#include "lab/emulator/file.h"

namespace longhaul::lab {

struct LinkOptions {
  bool ethernet = false;
  uint64_t memory = 1'000'000'000;  // bytes of frames held per direction
  uint64_t seed = 0;                // dice of ab; ba has the next
  int64_t wake_early = 30'000;      // ns before a frame is due, then poll
  std::string control;              // path of the control socket, or empty
};

class Link {
 public:
  // Throws std::system_error.
  Link(const LinkOptions& options, File a, File b);

  // All or nothing; throws std::invalid_argument.
  void Configure(std::span<const std::string> words);
  // Counters and state of both directions, a JSON object.
  std::string Report() const;
  // Moves frames until `stop` is set or a caller says "quit".
  void Run(const volatile std::sig_atomic_t& stop);

 private:
  void Watch(int fd);
  void Wait(int64_t wake_at);
  void Serve(int fd);
  std::string Answer(std::span<const std::string> words);

  LinkOptions options_;
  Channel ab_, ba_;
  File a_, b_;
  File epoll_;
  std::unique_ptr<ControlServer> control_;
  std::map<int, File> callers_;
  bool quit_ = false;
};

}  // namespace longhaul::lab
