# Flags of the kernels' sources, as in compute/targets.cmake, which is included first and holds them.
foreach(kernels kernels_baseline kernels_avx2 kernels_avx512)
  foreach(prefix "" lossless_)
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/codec/${prefix}${kernels}.cc)
    if(kernels STREQUAL kernels_baseline OR CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS ${${kernels}})
    endif()
  endforeach()
endforeach()
if(NOT LONGHAUL_SANITIZE)  # no weak symbols, for the reason given there
  add_custom_command(TARGET longhaul_codec POST_BUILD VERBATIM
    COMMAND sh -c "! ${CMAKE_NM} -A $<TARGET_FILE:longhaul_codec> | grep -E ':(lossless_)?kernels_[a-z0-9]+[.]cc[.]o:.* [WVu] '")
endif()
