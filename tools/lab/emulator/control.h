// The control socket of a running link: Unix, SOCK_SEQPACKET; one message of
// words, one answer (JSON) each.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/emulator/file.h"

namespace longhaul::lab {

// Thread-compatible.
class ControlServer {
 public:
  // Listens at `path`, replacing what is there; removes it at the end.
  explicit ControlServer(std::string path);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  int fd() const { return listener_.fd(); }
  // The next caller, or a file that is not ok.
  File Accept() const;

  using Handler = std::function<std::string(std::span<const std::string>)>;
  // Answers one message; false when the caller has gone. What the handler
  // throws becomes {"error": ...}.
  static bool Converse(int caller, const Handler& handler);

 private:
  std::string path_;
  File listener_;
};

// Sends words to the link that listens at `path`, and returns its answer.
std::string CallControl(const std::string& path,
                        std::span<const std::string> words);

}  // namespace longhaul::lab
