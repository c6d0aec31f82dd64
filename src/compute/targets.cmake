# Flags of the kernels' sources, one per SIMD target (docs/adr/0003-simd-by-translation-unit.md). Included by
# src/CMakeLists.txt, after the layer: properties of sources belong to the directory that makes the library.
set(optimise -O3)
if(LONGHAUL_SANITIZE)
  set(optimise -O1)  # instrumented at -O3 they take three times as long to compile
endif()
set(kernels_baseline ${optimise})
set(kernels_avx2 ${optimise} -mavx2 -mf16c)
set(kernels_avx512 ${optimise} -mavx2 -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq)
foreach(kernels kernels_baseline kernels_avx2 kernels_avx512)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/compute/${kernels}.cc)
  if(kernels STREQUAL kernels_baseline OR CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS ${${kernels}})
  endif()
endforeach()

# An inline function that a kernels' source shares with others is a weak symbol, and the linker may pick this copy for
# every processor: there must be none. (Sanitizers add weak symbols of their own.)
if(NOT LONGHAUL_SANITIZE)
  add_custom_command(TARGET longhaul_compute POST_BUILD VERBATIM
    COMMAND sh -c "! ${CMAKE_NM} -A $<TARGET_FILE:longhaul_compute> | grep -E ':kernels_[a-z0-9]+[.]cc[.]o:.* [WVu] '")
endif()
