/* Lets mig.c answer in the place of calls that a MIG device, or MIG itself, changes.
 *
 * nvml.c includes this after nvml.h, so what it defines under the names below is the answer for a whole
 * GPU, and mig.c exports the real names: its own answer for a MIG device, else the one of nvml.c.
 */
#ifndef SIMULATED_NVML_MIG_H
#define SIMULATED_NVML_MIG_H

#include <stdbool.h>

#include "control.h"

/* Whether the GPU has the instance, and what its performance counters say. */
bool mig_has_instance(int device, unsigned int gi);
nvmlReturn_t mig_activity(int device, unsigned int gi, unsigned int metric, double *value);

/* What a call does before it answers, and which GPU a handle is: both in nvml.c. */
nvmlReturn_t enter(const char *function, int device, const struct rule **rule);
int index_of(nvmlDevice_t device);

#ifndef SIMULATED_NVML_EXPORTS_MIG
#define nvmlDeviceGetUUID whole_gpu_uuid
#define nvmlDeviceGetName whole_gpu_name
#define nvmlDeviceGetMemoryInfo whole_gpu_memory
#define nvmlDeviceGetMemoryInfo_v2 whole_gpu_memory_v2
#define nvmlDeviceGetUtilizationRates whole_gpu_utilization
#define nvmlDeviceGetEncoderUtilization whole_gpu_encoder
#define nvmlDeviceGetDecoderUtilization whole_gpu_decoder
#define nvmlDeviceGetComputeRunningProcesses_v3 whole_gpu_processes_v3
#endif

nvmlReturn_t whole_gpu_uuid(nvmlDevice_t device, char *text, unsigned int length);
nvmlReturn_t whole_gpu_name(nvmlDevice_t device, char *text, unsigned int length);
nvmlReturn_t whole_gpu_memory(nvmlDevice_t device, nvmlMemory_t *memory);
nvmlReturn_t whole_gpu_memory_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory);
nvmlReturn_t whole_gpu_utilization(nvmlDevice_t device, nvmlUtilization_t *utilization);
nvmlReturn_t whole_gpu_encoder(nvmlDevice_t device, unsigned int *value, unsigned int *period);
nvmlReturn_t whole_gpu_decoder(nvmlDevice_t device, unsigned int *value, unsigned int *period);
nvmlReturn_t whole_gpu_processes_v3(nvmlDevice_t device, unsigned int *count,
                                    nvmlProcessInfo_t *infos);

#endif
