/* The Python module: which kernels run, and the addresses of the functions for ctypes. */
#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#include <stdlib.h>

#include "nm.h"

#if (defined(__x86_64__) || defined(_M_X64)) && defined(_MSC_VER)
#include <intrin.h>
/* AVX2 in the processor (CPUID leaf 7), its registers kept by the system (XCR0 bits 1 and 2). */
static int has_avx2(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    if (!(leaf[2] & (1 << 27)) || (_xgetbv(0) & 6) != 6) return 0;
    __cpuidex(leaf, 7, 0);
    return (leaf[1] & (1 << 5)) != 0;
}
#elif defined(__x86_64__)
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}
#else
static int has_avx2(void) { return 0; }
#endif

static int add_address(PyObject *module, const char *name, void (*function)(void)) {
    return PyModule_AddObject(module, name, PyLong_FromUnsignedLongLong((uintptr_t)function));
}

static int add_kernels(PyObject *module, const char *name, const nm_kernels *kernels) {
    return PyModule_AddObject(module, name, Py_BuildValue("(sN)", kernels->name, PyLong_FromUnsignedLongLong((uintptr_t)kernels)));
}

static int fill(PyObject *module) {
    int failed = add_kernels(module, "PORTABLE", &nm_portable);
    if (nm_avx2.name && has_avx2()) failed |= add_kernels(module, "AVX2", &nm_avx2);
    if (nm_neon.name) failed |= add_kernels(module, "NEON", &nm_neon);
    failed |= add_address(module, "RUN", (void (*)(void))nm_run);
    failed |= add_address(module, "PACK", (void (*)(void))nm_pack);
    failed |= add_address(module, "UNPACK", (void (*)(void))nm_unpack);
    failed |= add_address(module, "TALLY", (void (*)(void))nm_tally);
    failed |= add_address(module, "EVENTS", (void (*)(void))nm_events);
    failed |= add_address(module, "FORGET_EVENTS", (void (*)(void))nm_forget_events);
    failed |= PyModule_AddIntConstant(module, "SIZE_OF_MAP", sizeof(nm_map));
    failed |= PyModule_AddIntConstant(module, "SIZE_OF_SCAN", sizeof(nm_scan));
    failed |= PyModule_AddIntConstant(module, "SIZE_OF_STAGE", sizeof(nm_stage));
    failed |= PyModule_AddIntConstant(module, "SIZE_OF_EVENTMAP", sizeof(nm_event_map));
    failed |= PyModule_AddIntConstant(module, "SIZE_OF_EVENTPOPULATION", sizeof(nm_event_population));
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)(uintptr_t)fill}, {0, NULL}};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernels", "Addresses of the emulator's compiled kernels.", 0, NULL, slots, NULL, NULL,
    NULL};

PyMODINIT_FUNC PyInit__kernels(void);
PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&definition); }
