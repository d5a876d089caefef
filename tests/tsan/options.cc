// In builds for ThreadSanitizer only: what it is told, also in programs that a test starts with an empty environment.

// What libraries that are not instrumented do through its interceptors (copy, allocate, send) has no order that it
// could see. (It takes no library for instrumented: with this, calls of memcpy are not checked in our code, either.)
extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }

extern "C" const char* __tsan_default_suppressions() {
  return
      // gRPC ends a call's object, and calls OnDone, after the last of the call's callbacks, whose number it counts down
      // out of sight.
      "race:CallOnDone\n"
      // What a test sets before a call and its stand-in service reads during it: ordered by the program in between.
      "race:omserve::client::FakeService\n";
}
