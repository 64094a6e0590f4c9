@echo off
setlocal EnableExtensions DisableDelayedExpansion
rem Starts the recorder on Windows. Double click it, or: start_l2.bat record, demo, status, retention or test,
rem and then whatever the command takes. Without a command it records. docs\OPERATIONS.md tells more.
rem
rem Rules this file keeps, so that it works in any folder and with any arguments: paths stand in quotes; no exclamation
rem mark is special; no blocks in brackets; arguments are never taken apart, for cmd would split them at = and comma;
rem exit codes are compared as text, for crashes have negative ones, and only of programs, for set and pushd keep the old.

rem The window waits after an error only if a double click opened it: cmd /c, this file, no arguments.
set "CLICKED="
set "LINE=%cmdcmdline:"=%"
if not "%~1"=="" goto not_clicked
if "%LINE:/c =%"=="%LINE%" goto not_clicked
if "%LINE:start_l2.bat=%"=="%LINE%" goto not_clicked
set "CLICKED=yes"
:not_clicked

set "CODE=2"
pushd "%~dp0" || goto no_folder

set "AGAIN="
set "EXTRAS=zstd"
set "STAMP=.venv\installed.toml"
set "FIRST=%~1"
set ARGS=%*
if not defined FIRST goto default
if "%FIRST:~0,1%"=="-" goto default
if "%FIRST%"=="record" goto record
if "%FIRST%"=="demo" goto exporter
if "%FIRST%"=="status" goto exporter
if "%FIRST%"=="retention" goto retention
if "%FIRST%"=="test" goto test
echo There is no command "%FIRST%". Use: start_l2.bat record, demo, status, retention or test, then its arguments.
goto finish

:default
set ARGS=record %ARGS%
:record
set "AGAIN=yes"
:exporter
set "MODULE=l2_exporter"
goto environment

:retention
set "MODULE=retention"
set ARGS=run%ARGS:*retention=%
goto environment

:test
set "MODULE=pytest"
set "EXTRAS=zstd,test"
set "STAMP=.venv\installed-test.toml"
set ARGS=-n auto%ARGS:*test=%

rem An environment that does not work, because its Python was removed, is made anew.
:environment
set "PY=.venv\Scripts\python.exe"
set "CLEAR="
set "CHECK=import sys; sys.exit(0 if min((3, 11), sys.version_info[:2]) == (3, 11) else 1)"
if not exist "%PY%" goto find_python
"%PY%" -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto install
set "CLEAR=--clear"

:find_python
set "BASE=py -3.11"
call %BASE% -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto make_environment
set "BASE=py -3"
call %BASE% -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto make_environment
set "BASE=python"
call %BASE% -c "%CHECK%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto make_environment
echo Python 3.11 or newer was not found. Install it from https://www.python.org/downloads/windows/
echo and tick "Add python.exe to PATH", then start this again.
goto finish

:make_environment
echo Making an environment for Python in .venv ...
call %BASE% -m venv %CLEAR% .venv
if not "%ERRORLEVEL%"=="0" goto no_environment

rem Packages are installed again only when pyproject.toml is not what it was at the last time.
:install
fc /b pyproject.toml "%STAMP%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto run
echo Installing what pyproject.toml names ...
"%PY%" -m pip install --disable-pip-version-check --quiet --editable ".[%EXTRAS%]"
if not "%ERRORLEVEL%"=="0" goto no_packages
copy /y pyproject.toml "%STAMP%" >nul

:run
set "PYTHONUTF8=1"
"%PY%" -m %MODULE% %ARGS%
set "CODE=%ERRORLEVEL%"

rem Seconds until record starts again. Never after a clean stop, wrong settings, a vault in use, or Ctrl-C.
set "WAIT=10"
for %%c in (3 5) do if "%CODE%"=="%%c" set "WAIT=900"
for %%c in (0 2 4 -1073741510) do if "%CODE%"=="%%c" set "WAIT="
if not defined AGAIN goto finish
if not defined WAIT goto finish
echo The recorder ended with exit code %CODE%. It starts again in %WAIT% seconds; Ctrl-C stops it.
set /a "PINGS=WAIT + 1"
"%SystemRoot%\System32\ping.exe" -n %PINGS% 127.0.0.1 >nul
goto run

:no_folder
echo The folder of this file cannot be entered: "%~dp0"
goto finish

:no_environment
echo The environment could not be made. Close what uses the folder .venv, delete it, and start this again.
goto finish

:no_packages
echo The packages could not be installed. Is there a network, and a proxy that pip must know?

:finish
popd
if not defined CLICKED goto leave
if "%CODE%"=="0" goto leave
echo.
echo Ended with exit code %CODE%.
pause
:leave
exit /b %CODE%
