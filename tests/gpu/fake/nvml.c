// A libnvidia-ml.so.1 with the layouts of nvml.h, of FAKE_GPUS (8) H200s; with FAKE_WELL none of them is sick. -DOLD: what drivers before 470 do not have is not there.
#include "fault.h"

typedef int R;
typedef struct { int gpu, slot; } handle_t, *H;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } nvmlMemory_v2_t;
typedef struct { char busIdLegacy[16]; unsigned domain, bus, device, pciDeviceId, pciSubSystemId; char busId[32]; } nvmlPciInfo_t;
typedef struct { unsigned fieldId, scopeId; long long timestamp, latencyUsec; int valueType; R nvmlReturn; union { double d; unsigned u; unsigned long long ull; } value; } nvmlFieldValue_t;
typedef struct { unsigned char clusterUuid[16]; R status; unsigned cliqueId; unsigned char state; } nvmlGpuFabricInfo_t;
typedef struct { unsigned version; unsigned char clusterUuid[16]; R status; unsigned cliqueId; unsigned char state; unsigned healthMask; } nvmlGpuFabricInfo_v2_t;
typedef struct { unsigned version; unsigned char clusterUuid[16]; R status; unsigned cliqueId; unsigned char state; unsigned healthMask; unsigned char healthSummary; } nvmlGpuFabricInfo_v3_t;
typedef struct { unsigned version; unsigned long long counters[11]; unsigned bThresholdExceeded; } nvmlEccSramErrorStatus_t;
typedef struct { unsigned pid; unsigned long long usedGpuMemory; unsigned gpuInstanceId, computeInstanceId; } nvmlProcessInfo_t;
_Static_assert(sizeof(nvmlMemory_t) == 24, "nvmlMemory_t");
_Static_assert(sizeof(nvmlMemory_v2_t) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(nvmlPciInfo_t) == 68, "nvmlPciInfo_t");
_Static_assert(sizeof(nvmlFieldValue_t) == 40, "nvmlFieldValue_t");
_Static_assert(sizeof(nvmlGpuFabricInfo_t) == 28, "nvmlGpuFabricInfo_t");
_Static_assert(sizeof(nvmlGpuFabricInfo_v2_t) == 36, "nvmlGpuFabricInfo_v2_t");
_Static_assert(sizeof(nvmlGpuFabricInfo_v3_t) == 40, "nvmlGpuFabricInfo_v3_t");
_Static_assert(sizeof(nvmlEccSramErrorStatus_t) == 104, "nvmlEccSramErrorStatus_t");
_Static_assert(sizeof(nvmlProcessInfo_t) == 24, "nvmlProcessInfo_t");

#define TOTAL 150754820096ull
#define AT(name, gpu) do { R code_ = fault(name, gpu); if (code_) return code_; } while (0)

static handle_t gpus[64];

R nvmlInit_v2(void) { AT("nvmlInit_v2", -1); return fault_at_first(27); }
R nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(R code) {
    switch (code) {
    case 0: return "Success";
    case 3: return "Not Supported";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
static R say(const char *name, int gpu, char *room, unsigned length, const char *text) {
    AT(name, gpu);
    if (strlen(text) >= length) return 7;
    strcpy(room, text);
    return 0;
}
R nvmlSystemGetDriverVersion(char *room, unsigned length) { return say("nvmlSystemGetDriverVersion", -1, room, length, "570.172.08"); }
R nvmlSystemGetNVMLVersion(char *room, unsigned length) { return say("nvmlSystemGetNVMLVersion", -1, room, length, "12.570.172.08"); }
R nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return 0; }
R nvmlDeviceGetCount_v2(unsigned *count) { AT("nvmlDeviceGetCount_v2", -1); *count = number_of("FAKE_GPUS", 8); return 0; }
R nvmlDeviceGetHandleByIndex_v2(unsigned index, H *handle) {
    AT("nvmlDeviceGetHandleByIndex_v2", index);
    gpus[index] = (handle_t){index, -1};
    *handle = &gpus[index];
    return 0;
}
R nvmlDeviceGetUUID(H h, char *room, unsigned length) {
    char text[64];
    if (h->slot >= 0) snprintf(text, sizeof text, "MIG-0000000%d-0000-0000-0000-00000000000%d", h->gpu, h->slot);
    else snprintf(text, sizeof text, "GPU-0000000%d-0000-0000-0000-000000000000", h->gpu);
    return say("nvmlDeviceGetUUID", h->gpu, room, length, text);
}
R nvmlDeviceGetName(H h, char *room, unsigned length) { return say("nvmlDeviceGetName", h->gpu, room, length, h->slot >= 0 ? "NVIDIA H200 MIG 1g.18gb" : "NVIDIA H200"); }
R nvmlDeviceGetVbiosVersion(H h, char *room, unsigned length) { return say("nvmlDeviceGetVbiosVersion", h->gpu, room, length, "96.00.BC.00.01"); }
R nvmlDeviceGetPciInfo_v3(H h, nvmlPciInfo_t *pci) {
    AT("nvmlDeviceGetPciInfo_v3", h->gpu);
    memset(pci, 0, sizeof *pci);
    snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", 0x1b + h->gpu);
    return 0;
}
R nvmlDeviceGetMinorNumber(H h, unsigned *n) { *n = h->gpu; return 0; }
R nvmlDeviceGetBrand(H h, int *n) { (void)h; *n = 14; return 0; }
R nvmlDeviceGetMemoryInfo(H h, nvmlMemory_t *m) {
    AT("nvmlDeviceGetMemoryInfo", h->gpu);
    *m = (nvmlMemory_t){TOTAL, TOTAL - (600ull << 20), 600ull << 20};
    return 0;
}
R nvmlDeviceGetBAR1MemoryInfo(H h, nvmlMemory_t *m) { (void)h; *m = (nvmlMemory_t){256ull << 30, 255ull << 30, 1ull << 30}; return 0; }
R nvmlDeviceGetCudaComputeCapability(H h, int *major, int *minor) { AT("nvmlDeviceGetCudaComputeCapability", h->gpu); *major = 9; *minor = 0; return 0; }
R nvmlDeviceGetComputeMode(H h, int *mode) { (void)h; *mode = 0; return 0; }
R nvmlDeviceGetPersistenceMode(H h, int *mode) { (void)h; *mode = 1; return 0; }
R nvmlDeviceGetEccMode(H h, int *current, int *pending) { (void)h; *current = *pending = 1; return 0; }
R nvmlDeviceGetTotalEccErrors(H h, int kind, int counter, unsigned long long *count) { (void)h; if (kind != 1) return 2; *count = counter ? 3 : 0; return 0; }
R nvmlDeviceGetRetiredPagesPendingStatus(H h, int *pending) { (void)h; (void)pending; return 3; }
R nvmlDeviceGetCurrPcieLinkWidth(H h, unsigned *n) { (void)h; *n = 16; return 0; }
R nvmlDeviceGetMaxPcieLinkWidth(H h, unsigned *n) { (void)h; *n = 16; return 0; }
R nvmlDeviceGetCurrPcieLinkGeneration(H h, unsigned *n) { (void)h; *n = 1; return 0; }
R nvmlDeviceGetMaxPcieLinkGeneration(H h, unsigned *n) { (void)h; *n = 5; return 0; }
R nvmlDeviceGetNvLinkState(H h, unsigned link, int *state) { if (link >= 18) return 2; *state = !(h->gpu == 1 && link == 17); return 0; }
#ifdef OLD
R nvmlDeviceGetCurrentClocksThrottleReasons(H h, unsigned long long *reasons) { (void)h; *reasons = 4; return 0; }
#else
R nvmlDeviceGetCurrentClocksEventReasons(H h, unsigned long long *reasons) { (void)h; *reasons = 1; return 0; }
R nvmlDeviceGetMemoryInfo_v2(H h, nvmlMemory_v2_t *m) {
    AT("nvmlDeviceGetMemoryInfo_v2", h->gpu);
    if (m->version != (40 | 2 << 24)) return 25;
    *m = (nvmlMemory_v2_t){m->version, TOTAL, 596ull << 20, TOTAL - (600ull << 20), 4ull << 20};
    return 0;
}
static handle_t slots[64];
R nvmlDeviceGetMigMode(H h, unsigned *current, unsigned *pending) { *current = *pending = h->gpu == number_of("FAKE_MIG", -1); return 0; }
R nvmlDeviceGetMaxMigDeviceCount(H h, unsigned *count) { *count = h->gpu == number_of("FAKE_MIG", -1) ? 7 : 0; return 0; }
R nvmlDeviceGetMigDeviceHandleByIndex(H h, unsigned slot, H *instance) {
    if (h->gpu != number_of("FAKE_MIG", -1) || slot != 2) return 6;
    slots[slot] = (handle_t){h->gpu, slot};
    *instance = &slots[slot];
    return 0;
}
R nvmlDeviceGetGpuInstanceId(H h, unsigned *n) { (void)h; *n = 9; return 0; }
R nvmlDeviceGetComputeInstanceId(H h, unsigned *n) { (void)h; *n = 0; return 0; }
R nvmlDeviceGetRemappedRows(H h, unsigned *corr, unsigned *unc, unsigned *pending, unsigned *failed) { (void)h; *corr = 1; *unc = 2; *pending = 1; *failed = 0; return 0; }
R nvmlDeviceGetSramEccErrorStatus(H h, nvmlEccSramErrorStatus_t *s) { (void)h; if (s->version != (104 | 1 << 24)) return 25; s->bThresholdExceeded = !getenv("FAKE_WELL"); return 0; }
R nvmlDeviceGetFieldValues(H h, int count, nvmlFieldValue_t *values) {
    (void)h;
    for (int i = 0; i < count; i++) { values[i].nvmlReturn = values[i].fieldId == 230 ? 0 : 2; values[i].value.u = 3; }
    return 0;
}
R nvmlDeviceGetGpuFabricInfoV(H h, nvmlGpuFabricInfo_v2_t *f) {
    (void)h;
    if (f->version != (36 | 2 << 24)) return 25;
    f->state = fault_at_first(1) ? 2 : 3;
    f->status = 0;
    f->healthMask = 0x15;
    return 0;
}
R nvmlDeviceGetComputeRunningProcesses_v3(H h, unsigned *count, nvmlProcessInfo_t *list) {
    unsigned running = h->gpu == 0 ? 2 : 0;
    R code = running > *count ? 7 : 0;
    if (!code && list) memset(list, 0, running * sizeof *list);
    *count = running;
    return code;
}
#endif
