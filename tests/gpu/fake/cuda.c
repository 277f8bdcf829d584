// A libcuda.so.1 that keeps a GPU's memory in the host's and knows CUDA_VISIBLE_DEVICES. "flip" as FAKE_DO: a byte read back is wrong;
// "sum": a thread comes to a wrong sum.
#include "fault.h"
#include <stdint.h>

typedef int R;
typedef int CUdevice;
typedef struct { int gpu; } context_t, *CUcontext;
typedef uint64_t CUdeviceptr;
_Static_assert(sizeof(CUdeviceptr) == sizeof(void *), "CUdeviceptr");

static int shown[64], count = -1, current = 0;
static context_t contexts[64];

#define AT(name, gpu) do { R code_ = fault(name, gpu); if (code_) return code_; } while (0)

static void uuid_of(int gpu, char *text, size_t length) { snprintf(text, length, "GPU-0000000%d-0000-0000-0000-000000000000", gpu); }

static int gpu_named(const char *name, int gpus) {
    char text[64], *end;
    for (int gpu = 0; gpu < gpus; gpu++) {
        uuid_of(gpu, text, sizeof text);
        if (!strcmp(name, text)) return gpu;
    }
    long number = strtol(name, &end, 10);
    return *name && !*end && number >= 0 && number < gpus ? (int)number : -1;
}

R cuInit(unsigned flags) {
    int gpus = number_of("FAKE_GPUS", 8);
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (flags) return 1;
    count = 0;
    if (!visible) for (; count < gpus; count++) shown[count] = count;
    else {
        char list[4096], *rest = list, *name;
        snprintf(list, sizeof list, "%s", visible);
        while ((name = strsep(&rest, ",")) && (shown[count] = gpu_named(name, gpus)) >= 0) count++;
    }
    AT("cuInit", count == 1 ? shown[0] : -1);
    R later = fault_at_first(802);
    if (later) return later;
    return count ? 0 : 100;
}
R cuGetErrorString(R code, const char **text) {
    *text = code == 100 ? "no CUDA-capable device is detected" : code == 802 ? "system not yet initialized" : "a CUDA error";
    return 0;
}
R cuDriverGetVersion(int *version) { *version = 12080; return 0; }
R cuDeviceGetCount(int *n) { *n = count; return 0; }
R cuDeviceGet(CUdevice *device, int ordinal) { if (ordinal < 0 || ordinal >= count) return 101; *device = shown[ordinal]; return 0; }
R cuDeviceGetName(char *room, int length, CUdevice d) { AT("cuDeviceGetName", d); snprintf(room, length, "NVIDIA H200"); return 0; }
R cuDeviceGetUuid_v2(unsigned char *uuid, CUdevice d) { memset(uuid, 0, 16); uuid[3] = d; return 0; }
R cuDeviceGetPCIBusId(char *room, int length, CUdevice d) { snprintf(room, length, "0000:%02X:00.0", 0x1b + d); return 0; }
R cuDeviceTotalMem_v2(size_t *bytes, CUdevice d) { (void)d; *bytes = 150000000000; return 0; }
R cuDeviceGetAttribute(int *value, int attribute, CUdevice d) { (void)d; *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : -1; return 0; }
R cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice d) { AT("cuDevicePrimaryCtxRetain", d); contexts[d].gpu = d; *context = &contexts[d]; return 0; }
R cuDevicePrimaryCtxRelease_v2(CUdevice d) { (void)d; return 0; }
R cuCtxSetCurrent(CUcontext context) { current = context->gpu; return 0; }
R cuCtxSynchronize(void) { return 0; }
R cuMemGetInfo_v2(size_t *free, size_t *total) { *free = 149000000000; *total = 150000000000; return 0; }
R cuMemAlloc_v2(CUdeviceptr *place, size_t bytes) { AT("cuMemAlloc_v2", current); *place = (CUdeviceptr)malloc(bytes); return 0; }
R cuMemFree_v2(CUdeviceptr place) { free((void *)place); return 0; }
R cuMemHostAlloc(void **place, size_t bytes, unsigned flags) { AT("cuMemHostAlloc", current); (void)flags; *place = malloc(bytes); return 0; }
R cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) { AT("cuMemcpyHtoD_v2", current); memcpy((void *)to, from, bytes); return 0; }
static int does(const char *what, const char *name) { const char *wanted = getenv("FAKE_DO"); return wanted && !strcmp(wanted, what) && is_at(name, current); }
R cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
    AT("cuMemcpyDtoH_v2", current);
    memcpy(to, (void *)from, bytes);
    if (does("flip", "cuMemcpyDtoH_v2")) ((char *)to)[4242] ^= 8;
    return 0;
}
R cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) { memmove((void *)to, (void *)from, bytes); return 0; }
R cuDeviceCanAccessPeer(int *can, CUdevice from, CUdevice to) { *can = (from / 2) == (to / 2); return 0; }
R cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) { (void)peer; return flags ? 1 : 0; }
R cuMemcpyPeer(CUdeviceptr to, CUcontext toc, CUdeviceptr from, CUcontext fromc, size_t bytes) {
    AT("cuMemcpyPeer", fromc->gpu);
    memcpy((void *)to, (void *)from, bytes);
    current = fromc->gpu;
    if (does("garbage", "cuMemcpyPeer")) memset((void *)to, 0xff, 4096);
    (void)toc;
    return 0;
}
R cuModuleLoadData(void **module, const void *image) { AT("cuModuleLoadData", current); if (strncmp(image, ".version", 8)) return 218; *module = (void *)1; return 0; }
R cuModuleGetFunction(void **function, void *module, const char *name) { (void)module; if (strcmp(name, "trainit_sum")) return 500; *function = (void *)1; return 0; }
R cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **parameters, void **extra) {
    (void)f; (void)gy; (void)gz; (void)by; (void)bz; (void)shared; (void)stream; (void)extra;
    uint32_t *sums = (uint32_t *)*(CUdeviceptr *)parameters[0], rounds = *(uint32_t *)parameters[1], kinds[64];
    for (uint32_t kind = 0; kind < 64; kind++) {
        uint32_t integer = kind, bits;
        volatile float value = (float)kind + 1.0f;
        for (uint32_t round = 0; round < rounds; round++) {
            union { uint32_t u; float f; } factor = {0x3f800347}, term = {0x3dcccccd};
            integer = integer * 1664525u + 1013904223u;
            value = value * factor.f;
            value = value + term.f;
        }
        float last = value;
        memcpy(&bits, &last, 4);
        kinds[kind] = integer ^ bits;
    }
    for (uint32_t thread = 0; thread < gx * bx; thread++) sums[thread] = kinds[thread % 64];
    if (does("sum", "cuLaunchKernel")) sums[77] ^= 1;
    return 0;
}
