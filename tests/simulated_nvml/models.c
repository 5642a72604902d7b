/* The devices that can be simulated, by what they lack: `model WORD DEVICE` in the control file.
 *
 * What real boards lack is from NVIDIA's header where it says so (GPM from Hopper on, row remapping from
 * Ampere on, page retirement before it, no NVLink on a T4); the rest is likely and not measured.
 */
#include "simulated.h"

static const char *const nothing[] = {NULL};

static const char *const h100[] = {
    "nvmlDeviceGetNumFans", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetRetiredPages",
    "nvmlDeviceGetRetiredPagesPendingStatus", "field:7", "field:8", "field:9", "field:10",
    "field:13", "field:14", "field:15", "field:16", "field:17", "field:18", "field:19", "field:20",
    "field:21", "field:24", "field:25", "field:26", "field:27", "field:28", "field:29", "field:30",
    "field:31", "field:206", "field:207", "field:208", "field:211", "field:212", "field:214",
    "field:215", "field:219", "nvmlDeviceGetMemoryErrorCounter:0", "nvmlDeviceGetMemoryErrorCounter:1",
    "nvmlDeviceGetMemoryErrorCounter:3", "nvmlDeviceGetMemoryErrorCounter:4",
    "nvmlDeviceGetMemoryErrorCounter:5", "nvmlDeviceGetMemoryErrorCounter:6", NULL,
};

static const char *const b200[] = {
    "nvmlDeviceGetNumFans", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetRetiredPages",
    "nvmlDeviceGetRetiredPagesPendingStatus", "field:7", "field:8", "field:9", "field:10",
    "field:13", "field:14", "field:15", "field:16", "field:17", "field:18", "field:19", "field:20",
    "field:21", "field:24", "field:25", "field:26", "field:27", "field:28", "field:29", "field:30",
    "field:31", "field:138", "field:139", "field:161", "field:162", "field:163",
    "nvmlDeviceGetMemoryErrorCounter:0", "nvmlDeviceGetMemoryErrorCounter:1",
    "nvmlDeviceGetMemoryErrorCounter:3", "nvmlDeviceGetMemoryErrorCounter:4",
    "nvmlDeviceGetMemoryErrorCounter:5", "nvmlDeviceGetMemoryErrorCounter:6", NULL,
};

static const char *const t4[] = {
    "nvmlDeviceGetMarginTemperature", "nvmlDeviceGetJpgUtilization", "nvmlDeviceGetOfaUtilization",
    "nvmlDeviceGetNumFans", "nvmlDeviceGetFanSpeed", "nvmlDeviceGetSramEccErrorStatus",
    "nvmlDeviceGetRemappedRows", "nvmlDeviceGetRowRemapperHistogram", "nvmlDeviceGetMigMode",
    "nvmlDeviceGetGpuFabricInfoV", "nvmlDeviceGetGpuFabricInfo", "nvmlDeviceGetNvLinkState",
    "field:82", "field:91", "field:138", "field:139", "field:142", "field:143", "field:144",
    "field:145", "field:185", "field:197", "field:198", "field:202", "field:204", "field:7",
    "field:8", "field:9", "field:10", "field:13", "field:14", "field:15", "field:16", "field:17",
    "field:18", "field:19", "field:20", "field:21", "field:24", "field:25", "field:26", "field:27",
    "field:28", "nvmlDeviceGetMemoryErrorCounter:0", "nvmlDeviceGetMemoryErrorCounter:1",
    "nvmlDeviceGetMemoryErrorCounter:3", "nvmlDeviceGetMemoryErrorCounter:4",
    "nvmlDeviceGetMemoryErrorCounter:5", "nvmlDeviceGetMemoryErrorCounter:6", NULL,
};

static const struct model models[] = {
    {"h100", "NVIDIA H100 80GB HBM3", 18, 5, true, h100},
    {"b200", "NVIDIA B200", 18, 6, true, b200},
    {"t4", "Tesla T4", 0, 3, false, t4},
    {"everything", "NVIDIA Everything", 18, 5, true, nothing},
};

const struct model *model_of(int device)
{
    const char *word = device >= 0 && device < MAX_DEVICES ? control_now()->model[device] : "";
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(models[i].word, word) == 0)
            return &models[i];
    return &models[0];
}
