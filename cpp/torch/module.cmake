# The fast path of softmaxlib.torch, compiled for one release of PyTorch: only its headers and libraries are read.
# Its name says the release; another is then never loaded (softmaxlib/torch/_fast_path.py).

set(torch_folder ${SOFTMAXLIB_TORCH})
if(SOFTMAXLIB_TORCH MATCHES "^(AUTO|ON)$")
  execute_process(COMMAND ${Python_EXECUTABLE} -c
    "import importlib.util as u; found = u.find_spec('torch'); print(*(found.submodule_search_locations if found else ()))"
    OUTPUT_VARIABLE torch_folder OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()

if(EXISTS "${torch_folder}/version.py")
  file(STRINGS "${torch_folder}/version.py" torch_version REGEX "^__version__ = ")
  string(REGEX REPLACE "^__version__ = '(.*)'.*" "\\1" torch_version "${torch_version}")
elseif(SOFTMAXLIB_TORCH STREQUAL AUTO)
  message(STATUS "softmaxlib.torch: not compiled, there is no PyTorch")
  return()
else()
  message(FATAL_ERROR "SOFTMAXLIB_TORCH must be AUTO, ON (with PyTorch importable), OFF or the folder of the package torch, "
    "got '${SOFTMAXLIB_TORCH}', where there is no version.py")
endif()

# The structures that it reads may change with each release; these are the ones it was tested with.
if(SOFTMAXLIB_TORCH STREQUAL AUTO AND NOT torch_version MATCHES "^2\\.13\\.")
  message(STATUS "softmaxlib.torch: not compiled, tested with PyTorch 2.13 and this is ${torch_version}")
  return()
endif()

string(REGEX REPLACE "[^A-Za-z0-9_]" "_" torch_module "_compiled_for_${torch_version}")
Python_add_library(${torch_module} MODULE WITH_SOABI cpp/torch/module.cpp)
set_target_properties(${torch_module} PROPERTIES CXX_STANDARD 20 BUILD_WITH_INSTALL_RPATH ON VISIBILITY_INLINES_HIDDEN ON)
target_include_directories(${torch_module} SYSTEM PRIVATE ${torch_folder}/include)
target_compile_definitions(${torch_module} PRIVATE
  SOFTMAXLIB_TORCH_MODULE="softmaxlib.torch.${torch_module}" SOFTMAXLIB_TORCH_START=PyInit_${torch_module})
foreach(library torch_python torch_cpu c10)
  find_library(found_${library} ${library} PATHS ${torch_folder}/lib NO_DEFAULT_PATH REQUIRED)
  target_link_libraries(${torch_module} PRIVATE ${found_${library}})
endforeach()
install(TARGETS ${torch_module} LIBRARY DESTINATION softmaxlib/torch)
message(STATUS "softmaxlib.torch: compiled for PyTorch ${torch_version}")
