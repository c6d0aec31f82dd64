// Process cards from afar. The checksum is put right, so that the fuzzer gets
// past it. What is decoded is fit to be used, and survives another round.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "collective/process_card.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using longhaul::DecodeCard;
  (void)DecodeCard({data, size});
  std::vector<uint8_t> bytes(data, data + size);
  if (size >= 8) {
    longhaul::StoreLittle<uint32_t>(
        bytes.data() + 4, longhaul::Crc32c(bytes.data() + 8, size - 8));
  }
  const auto card = DecodeCard(bytes);
  if (!card.ok()) return 0;
  LH_CHECK(card->incarnation != 0);
  LH_CHECK(card->addresses.size() <= longhaul::kMaxCardAddresses);
  for (const longhaul::Address& address : card->addresses) {
    LH_CHECK(address.port != 0 && !address.IsAny());
  }
  const auto again = DecodeCard(longhaul::EncodeCard(*card));
  LH_CHECK(again.ok() && *again == *card);
  return 0;
}
