# Every C++ dependency, found once. All of them are Debian 12 packages; scripts/setup installs them.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_program(OMSERVE_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ucx REQUIRED)

# Debian's dnnl CMake package asks for OpenCL's development files, which nothing here needs.
find_library(OMSERVE_DNNL_LIBRARY dnnl REQUIRED)
find_path(OMSERVE_DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
add_library(omserve_dnnl INTERFACE)
target_include_directories(omserve_dnnl SYSTEM INTERFACE ${OMSERVE_DNNL_INCLUDE_DIR})
target_link_libraries(omserve_dnnl INTERFACE ${OMSERVE_DNNL_LIBRARY})

# CBC has a C interface and pkg-config files, and no CMake package.
find_package(PkgConfig REQUIRED)
pkg_check_modules(OMSERVE_CBC REQUIRED IMPORTED_TARGET cbc)
add_library(omserve_cbc INTERFACE)
target_link_libraries(omserve_cbc INTERFACE PkgConfig::OMSERVE_CBC)

if(OMSERVE_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(OMSERVE_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
