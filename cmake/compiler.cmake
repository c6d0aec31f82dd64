# One set of compiler settings for everything built here: the target longhaul_flags.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
find_package(Threads REQUIRED)

add_library(longhaul_flags INTERFACE)
target_compile_options(longhaul_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  # Bit-identical results on every machine: no fused multiply-add unless written.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(longhaul_flags INTERFACE -Wno-restrict)  # false alarms on std::string: GCC bug 105651
endif()
target_link_libraries(longhaul_flags INTERFACE Threads::Threads)
if(LONGHAUL_ASSERTIONS)
  target_compile_definitions(longhaul_flags INTERFACE LONGHAUL_ASSERTIONS=1)
endif()
if(LONGHAUL_SANITIZE)
  target_compile_options(longhaul_flags INTERFACE
    -fsanitize=${LONGHAUL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(longhaul_flags INTERFACE -fsanitize=${LONGHAUL_SANITIZE})
  if(LONGHAUL_FUZZ)
    target_compile_options(longhaul_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
endif()
if(LONGHAUL_TIDY)
  find_program(CLANG_TIDY NAMES clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${CLANG_TIDY} --quiet)
endif()
