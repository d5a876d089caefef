# omserve_library(NAME SRCS a.cc ... DEPS lib ...): one static library per folder, every dependency spelled out.
# omserve_test(NAME SRCS a_test.cc ... DEPS lib ... [LABELS l ...]): one gtest binary, run by ctest.

add_library(omserve_flags INTERFACE)
target_compile_options(omserve_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror=return-type)
target_compile_definitions(omserve_flags INTERFACE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL OMSERVE_VERSION="${PROJECT_VERSION}")
if(OMSERVE_SANITIZE)
  target_compile_options(omserve_flags INTERFACE -fsanitize=${OMSERVE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(omserve_flags INTERFACE -fsanitize=${OMSERVE_SANITIZE})
  if(OMSERVE_SANITIZE MATCHES thread)
    # With this macro protobuf's maps have members that Debian's libprotobuf, which is not instrumented, knows nothing
    # of. libstdc++ (its shared_ptr) and our own code still learn by libstdc++'s own macro that they are watched.
    target_compile_options(omserve_flags INTERFACE -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
    # Linked into every program, where it stands before the libraries.
    add_library(omserve_tsan OBJECT
      ${PROJECT_SOURCE_DIR}/tests/tsan/library_order.cc ${PROJECT_SOURCE_DIR}/tests/tsan/options.cc)
    target_compile_options(omserve_tsan PRIVATE $<TARGET_PROPERTY:omserve_flags,INTERFACE_COMPILE_OPTIONS>)
    target_link_libraries(omserve_tsan PRIVATE absl::status absl::synchronization)
    target_link_libraries(omserve_flags INTERFACE
      $<TARGET_OBJECTS:omserve_tsan> absl::status absl::synchronization ${CMAKE_DL_LIBS})
    # Nor can ThreadSanitizer live with UCX's patches of libc.
    set(OMSERVE_TEST_ENVIRONMENT UCX_MEM_EVENTS=n)
  endif()
endif()

if(OMSERVE_BUILD_FUZZERS)
  # Coverage of all that a fuzz target is linked from leads libFuzzer to new paths.
  target_compile_options(omserve_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(omserve_library NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SRCS})
  target_include_directories(${NAME} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>)
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:omserve_flags>)
endfunction()

function(omserve_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT OMSERVE_BUILD_TESTS)
    return()
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(OMSERVE_SANITIZE)
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${NAME} ${ARG_SRCS})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} omserve_flags GTest::gtest GTest::gmock GTest::gtest_main)
  # Test code itself need not be fast; this halves the time it takes to compile.
  target_compile_options(${NAME} PRIVATE $<$<CONFIG:Release>:-O1>)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${OMSERVE_TEST_ENVIRONMENT}")
endfunction()

if(OMSERVE_BUILD_TESTS)
  enable_testing()
endif()
