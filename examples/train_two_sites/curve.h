// Files that a run leaves: the table of losses, and gradients.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace train {

/// One line of the table.
struct Point {
  uint64_t step = 0;
  double seconds = 0;
  double training_loss = 0;
  double validation_loss = 0;
  uint64_t wan_bytes = 0;
};

/// The table of losses, written line by line as training goes.
class Curve {
 public:
  /// "-" is standard output. Writes the heading.
  static longhaul::Result<Curve> Open(const std::string& file);

  longhaul::Status Add(const Point& point);

 private:
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stdout) std::fclose(file);
    }
  };
  Curve(std::FILE* file, std::string name)
      : file_(file), name_(std::move(name)) {}

  longhaul::Status Flushed(int written);

  std::unique_ptr<std::FILE, Closer> file_;
  std::string name_;
};

/// Raw little-endian f32, nothing else.
longhaul::Status WriteVector(const std::string& file,
                             const std::vector<float>& values);

}  // namespace train
