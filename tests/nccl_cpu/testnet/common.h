// What testnet's two interfaces share: the device, registrations, sockets.
//
// Free functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "testnet/plugin_abi.h"

namespace testnet {

/// A number from the environment; 0 where there is none.
uint64_t EnvironmentNumber(const char* name);

/// What a listener tells those that connect: all ranks are on this machine.
struct Handle {
  uint16_t port;  ///< in network order
};

/// A socket, blocking, or -1.
int ListenOn(Handle* handle);
int ConnectTo(const Handle& handle);
/// -1: none (yet).
int AcceptOn(int listener);

// Functions that are the same in both interfaces.
ncclResult_t Devices(int* count);
ncclResult_t GetProperties(int device, Properties* properties);
ncclResult_t RegMr(void* comm, void* data, size_t size, int type,
                   void** region);
ncclResult_t RegMrDmaBuf(void*, void*, size_t, int, uint64_t, int, void**);
ncclResult_t DeregMr(void* comm, void* region);
ncclResult_t CloseListen(void* listener);

/// Does the registration cover these bytes? Says so on stderr if not: real
/// hardware would fault.
bool Covers(void* region, const void* data, size_t size);

}  // namespace testnet
