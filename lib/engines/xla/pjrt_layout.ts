/**
 * The binary layout of the PJRT C API (xla/pjrt/c/pjrt_c_api.h), as measured on plugins of the versions 0.81, 0.106 and
 * 0.115: byte offsets of fields in the argument structures and slots in the table of functions. Within major version 0
 * both only grow at the end, so these numbers hold for every plugin from 0.81 on; pointers and sizes have 8 bytes, enums
 * and ints 4, bools 1.
 */

/** Oldest minor version of the API that this layout was run with. */
export const oldestMinor = 81;

/**
 * Where the API table holds its own size, its version and its first function; and a size far above that of any version to
 * come (it has 984 bytes in 0.81, 1,144 in 0.117): what claims more is no such table.
 */
export const apiTable = { size: 0, major: 32, minor: 36, firstSlot: 40, largestSize: 65536 } as const;

/** Slot of each function in the API table: function i lies at byte 40 + 8 i. */
export const slots = {
  Error_Destroy: 0,
  Error_Message: 1,
  Error_GetCode: 2,
  Plugin_Initialize: 3,
  Plugin_Attributes: 4,
  Event_Destroy: 5,
  Event_Await: 8,
  Client_Create: 10,
  Client_PlatformName: 12,
  Client_PlatformVersion: 14,
  Client_AddressableDevices: 16,
  Client_Compile: 20,
  Client_BufferFromHostBuffer: 22,
  DeviceDescription_Kind: 26,
  Device_GetDescription: 29,
  Executable_Destroy: 40,
  Executable_NumOutputs: 44,
  Executable_Serialize: 49,
  LoadedExecutable_Destroy: 50,
  LoadedExecutable_GetExecutable: 51,
  LoadedExecutable_Execute: 55,
  Executable_DeserializeAndLoad: 56,
  Buffer_Destroy: 58,
  Buffer_ToHostBuffer: 70,
  Executable_OutputElementTypes: 90,
  Executable_OutputDimensions: 91,
  Executable_GetCompiledMemoryStats: 96,
} as const;

/** The name of a function of the API, without its prefix `PJRT_`. */
export type PjrtFunction = keyof typeof slots;

/** Size of each argument structure and offsets of its fields; `size` itself is at 0, the extension pointer at 8. */
export const layouts = {
  Error_Destroy: { size: 24, error: 16 },
  Error_Message: { size: 40, error: 16, message: 24, message_size: 32 },
  Error_GetCode: { size: 28, error: 16, code: 24 },
  Plugin_Initialize: { size: 16 },
  Plugin_Attributes: { size: 32, attributes: 16, num_attributes: 24 },
  Event_Destroy: { size: 24, event: 16 },
  Event_Await: { size: 24, event: 16 },
  Client_Create: { size: 88, create_options: 16, num_options: 24, client: 64 },
  Client_PlatformName: { size: 40, client: 16, platform_name: 24, platform_name_size: 32 },
  Client_PlatformVersion: { size: 40, client: 16, platform_version: 24, platform_version_size: 32 },
  Client_AddressableDevices: {
    size: 40,
    client: 16,
    addressable_devices: 24,
    num_addressable_devices: 32,
  },
  Client_Compile: {
    size: 56,
    client: 16,
    program: 24,
    compile_options: 32,
    compile_options_size: 40,
    executable: 48,
  },
  Client_BufferFromHostBuffer: {
    size: 120,
    client: 16,
    data: 24,
    type: 32,
    dims: 40,
    num_dims: 48,
    host_buffer_semantics: 72,
    device: 80,
    done_with_host_buffer: 104,
    buffer: 112,
  },
  DeviceDescription_Kind: { size: 40, device_description: 16, device_kind: 24, device_kind_size: 32 },
  Device_GetDescription: { size: 32, device: 16, device_description: 24 },
  Executable_Destroy: { size: 24, executable: 16 },
  Executable_NumOutputs: { size: 32, executable: 16, num_outputs: 24 },
  Executable_Serialize: {
    size: 56,
    executable: 16,
    serialized_bytes: 24,
    serialized_bytes_size: 32,
    serialized_executable: 40,
    serialized_executable_deleter: 48,
  },
  LoadedExecutable_Destroy: { size: 24, executable: 16 },
  LoadedExecutable_GetExecutable: { size: 32, loaded_executable: 16, executable: 24 },
  LoadedExecutable_Execute: {
    size: 80,
    executable: 16,
    options: 24,
    argument_lists: 32,
    num_devices: 40,
    num_args: 48,
    output_lists: 56,
    device_complete_events: 64,
  },
  Executable_DeserializeAndLoad: {
    size: 72,
    client: 16,
    serialized_executable: 24,
    serialized_executable_size: 32,
    loaded_executable: 40,
  },
  Buffer_Destroy: { size: 24, buffer: 16 },
  Buffer_ToHostBuffer: { size: 56, src: 16, dst: 32, dst_size: 40, event: 48 },
  Executable_OutputElementTypes: { size: 40, executable: 16, output_types: 24, num_output_types: 32 },
  Executable_OutputDimensions: { size: 48, executable: 16, num_outputs: 24, dims: 32, dim_sizes: 40 },
  Executable_GetCompiledMemoryStats: {
    size: 144,
    executable: 16,
    generated_code_size_in_bytes: 24,
    argument_size_in_bytes: 32,
    output_size_in_bytes: 40,
    alias_size_in_bytes: 48,
    temp_size_in_bytes: 56,
  },
  // Structures that arguments point to.
  NamedValue: { size: 56, name: 16, name_size: 24, type: 32, value: 40, value_size: 48 },
  Program: { size: 48, code: 16, code_size: 24, format: 32, format_size: 40 },
  ExecuteOptions: { size: 144 },
} as const;

/** The name of a structure. */
export type Structure = keyof typeof layouts;

/** `PJRT_NamedValue.type`. */
export const namedValueKinds = { string: 0, int64: 1, int64List: 2, float: 3, bool: 4 } as const;

/** `PJRT_Buffer_Type` and bytes of one element, for the element types of the graph. */
export const elementTypes = {
  bool: { code: 1, bytes: 1 },
  int32: { code: 4, bytes: 4 },
  uint32: { code: 8, bytes: 4 },
  float32: { code: 11, bytes: 4 },
  bfloat16: { code: 13, bytes: 2 },
} as const;

/** Names of PJRT's error codes (those of absl::StatusCode). */
export const errorCodes: Readonly<Record<number, string>> = {
  1: "CANCELLED",
  2: "UNKNOWN",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  5: "NOT_FOUND",
  6: "ALREADY_EXISTS",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  9: "FAILED_PRECONDITION",
  10: "ABORTED",
  11: "OUT_OF_RANGE",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  15: "DATA_LOSS",
};
